"""Those who work beside the producers: operators, a customer, a feed follower, and a forger.

Each is a thread with dice of its own. They use public doors only: HTTP with an operator's key, the
command line, the feed, the broker. What they decide by, they read with SQL of their own.
"""

import contextlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.storm.doors import Http, Message
from tests.storm.journal import Journal
from tests.support.nursery import Nursery
from tests.support.waiting import patience_s, wait_for


class Sql:
    """The storm's own eyes on the database, past every wire."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+psycopg", "")

    def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """What a statement returns, committed; [] while the database is away."""
        try:
            with psycopg.connect(
                self._url, row_factory=dict_row, application_name="storm", connect_timeout=5
            ) as connection:
                cursor = connection.execute(statement.encode(), parameters)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg.OperationalError:
            return []


class Cli:
    """`billing …`, run as a process of its own in the environment of the others."""

    def __init__(
        self, nursery: Nursery, environ: Mapping[str, str], journal: Journal, actor: str
    ) -> None:
        self._nursery = nursery
        self._environ = environ
        self._journal = journal
        self._actor = actor

    def run(self, *arguments: str, did: str) -> tuple[int, str]:
        """The exit status and all that was said."""
        number = self._journal.ask(self._actor, did, arguments=list(arguments))
        program = self._nursery.run("cli", "cli", arguments, self._environ)
        try:
            status = program.end_of_itself()
            said = program.output
        finally:
            program.end()
        self._journal.answer(number, status=status, body=_json_in(said))
        return status, said


def _json_in(said: str) -> Any:
    """The JSON of an answer, past any line of a log."""
    begin = said.find("{")
    try:
        return json.JSONDecoder().raw_decode(said[begin:])[0] if begin >= 0 else None
    except ValueError:
        return None


class Colleague(ABC):
    """A thread that acts again and again until told to stop."""

    pause_s = 0.5

    def __init__(self, seed: object) -> None:
        self.name = type(self).__name__.lower()
        self.dice = Random(f"{seed} {self.name}")
        self.errors: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(patience_s())

    def _run(self) -> None:
        while not self._end.wait(self.dice.expovariate(1 / self.pause_s)):
            try:
                self.act()
            except Exception as error:  # noqa: BLE001  # told at the end; the others go on
                self.errors.append(f"{self.name}: {error!r}")

    @abstractmethod
    def act(self) -> None:
        """One thing of its work."""


class Reviewer(Colleague):
    """Decides what needs review, after a look at the processor's ledger, as a person would."""

    pause_s = 1.5

    def __init__(self, seed: object, sql: Sql, cli: Cli) -> None:
        super().__init__(seed)
        self.sql = sql
        self.cli = cli

    def act(self) -> None:
        found = self.sql.rows(
            "SELECT o.id, o.payment_method_id, EXISTS (SELECT FROM sandbox_ledger l"
            "  WHERE l.object_id = o.id) AS moved FROM ("
            " SELECT id, payment_method_id, phase FROM charges UNION ALL"
            " SELECT r.id, c.payment_method_id, r.phase FROM refunds r"
            "  JOIN charges c ON c.id = r.charge_id) o"
            " WHERE o.phase = 'needs_review' ORDER BY o.id LIMIT 5"
        )
        for one in found:
            lost = one["payment_method_id"] == "pm_sandbox_lost" and one["id"].startswith("ch_")
            decision = "succeeded" if one["moved"] else "failed" if lost else "retry"
            self.cli.run(
                "resolve", one["id"], decision, "--why", "the ledger says so", "--who", "storm",
                "--json", did="resolve",
            )  # fmt: skip


class Customer(Colleague):
    """Does, or declines, what a charge waits for."""

    pause_s = 2.0

    def __init__(self, seed: object, sql: Sql, cli: Cli) -> None:
        super().__init__(seed)
        self.sql = sql
        self.cli = cli

    def act(self) -> None:
        for one in self.sql.rows(
            "SELECT object_id FROM sandbox_requests WHERE status = 'pending'"
            " AND processor_code = 'requires_action' ORDER BY created_at LIMIT 3"
        ):
            verb = self.dice.choice(("complete", "complete", "decline"))
            self.cli.run("sandbox", verb, one["object_id"], "--json", did="sandbox")


class Storekeeper(Colleague):
    """Counts stock up and down by hand, each change under a key, and again when unheard."""

    pause_s = 0.6

    def __init__(self, seed: object, http: Http, prices: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(seed)
        self.http = http
        self.prices = prices
        self.number = 0
        self.open: list[tuple[str, str, dict[str, Any]]] = []

    def act(self) -> None:
        self.number += 1
        price = self.dice.choice(self.prices)
        action = self.dice.choice(("increment", "increment", "decrement"))
        wish = {"quantity": self.dice.randint(1, 6), "action": action}
        self.open.append((price["id"], f"stock-{self.number}", wish))
        self.finish(1)

    def finish(self, tries: int = 1) -> None:
        """Ask (again) for what has no answer yet."""
        for _ in range(tries):
            for one in [*self.open]:
                price_id, key, wish = one
                answer = self.http.ask(
                    "PUT", f"/prices/{price_id}/inventory", did="inventory", body=wish,
                    note={"key": key, "fields": wish, "price_id": price_id},
                    headers={"idempotency-key": key},
                )  # fmt: skip
                if answer.accepted or answer.refused:
                    self.open.remove(one)
            if not self.open:
                return


class Postmaster(Colleague):
    """Changes an endpoint while events happen: off, on, a new secret, a ping, a replay."""

    pause_s = 0.8

    def __init__(self, seed: object, http: Http, endpoint_id: str, since: str) -> None:
        super().__init__(seed)
        self.http = http
        self.path = f"/webhook-endpoints/{endpoint_id}"
        self.since = since
        self.rotation: str | None = None

    def act(self) -> None:
        what = self.dice.choice(("off", "on", "on", "rotate", "ping", "replay", "replay all"))
        match what:
            case "off" | "on":
                state = {"off": "disabled", "on": "enabled"}[what]
                self._ask("PATCH", "", {"state": state})
            case "rotate":
                self.rotate()
            case "ping":
                self._ask("POST", "/ping", None)
            case "replay":
                self.replay()
            case "replay all":
                self.replay(only="all")

    def rotate(self) -> None:
        """A new secret. The one before signs for a day, and what gets no answer is asked again
        under its key: so no answer that is lost leaves a receiver without a secret."""
        self.rotation = self.rotation or f"rotation-{self.dice.randrange(10**9)}"
        headers = {"idempotency-key": self.rotation}
        if self._ask("POST", "/rotate-secret", {}, headers).accepted:
            self.rotation = None

    def replay(self, *, only: str = "undelivered") -> bool:
        """Send everything since the beginning again; whether that was taken to the end."""
        after = 0
        while True:
            wish = {"since": self.since, "only": only, "after": after}
            answer = self._ask("POST", "/replay", wish)
            if not answer.accepted:
                return False
            if not answer.body["has_more"] or only == "all":
                return True
            after = answer.body["next_after"]

    def enable(self) -> bool:
        return bool(self._ask("PATCH", "", {"state": "enabled"}).accepted)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        return self.http.ask(method, self.path + path, did="endpoint", body=body, headers=headers)


class Follower(Colleague):
    """Reads the feed to its end, and sometimes an old page once more."""

    pause_s = 0.15

    def __init__(self, seed: object, http: Http) -> None:
        super().__init__(seed)
        self.http = http
        self.after = 0
        self.old = [0]

    def act(self) -> None:
        again = self.dice.random() < 0.1
        after = self.dice.choice(self.old) if again else self.after
        answer = self._read(after)
        if answer.accepted and not again:
            self.after = int(answer.body["next_cursor"])
            self.old.append(self.after)

    def finish(self, last: Callable[[], int]) -> None:
        """Until it has read this position; if that never comes, the witness tells it."""

        def position() -> int:
            self.act()
            return self.after

        with contextlib.suppress(AssertionError):
            wait_for(position, until=lambda after: after >= last(), what="the feed's last event")

    def _read(self, after: int) -> Any:
        query = {"after": after, "limit": self.dice.choice((7, 100, 100))}
        return self.http.ask("GET", "/events", did="feed", query=query, note={"after": after})


class Poller(Colleague):
    """Copies a shop's charges by their lists: each time from the newest moment that it has seen."""

    pause_s = 0.4

    def __init__(self, seed: object, http: Http, since: str) -> None:
        super().__init__(seed)
        self.http = http
        self.since = since

    def act(self) -> None:
        cursor: str | None = None
        newest = self.since
        while True:
            query = {"created_after": self.since, "limit": 100} | (
                {"cursor": cursor} if cursor else {}
            )
            answer = self.http.ask(
                "GET", "/charges", did="poll", query=query, note={"since": self.since}
            )
            if not answer.accepted:
                return  # from the same moment again
            # RFC 3339 of one form: what is later is greater.
            newest = max([newest, *(one["created_at"] for one in answer.body["data"])])
            cursor = answer.body["next_cursor"]
            if not answer.body["has_more"]:
                self.since = newest
                return


class Forger(Colleague):
    """Sends messages that nobody asked for: wake-up calls, sweeps, drains, garbage."""

    pause_s = 1.0

    def __init__(self, seed: object, message: Message, sql: Sql) -> None:
        super().__init__(seed)
        self.message = message
        self.sql = sql

    def act(self) -> None:
        match self.dice.randrange(4):
            case 0 | 1:
                for one in self.sql.rows(
                    "SELECT id FROM (SELECT id FROM charges UNION ALL SELECT id FROM refunds) o"
                    " ORDER BY md5(id || %s) LIMIT 4", str(self.dice.random()),
                ):  # fmt: skip
                    kind = "charge" if one["id"].startswith("ch_") else "refund"
                    self.message.send(f"billing.{kind}.submit", {"id": one["id"]}, forged=True)
            case 2:
                task = self.dice.choice(("payments", "processor"))
                self.message.send(f"billing.sweep.{task}", {}, forged=True)
            case _:
                self.message.send("billing.no.such.task", {"é": None}, forged=True)


class Canceler(Colleague):
    """Cancels charges of a shop while they are under way."""

    pause_s = 1.0

    def __init__(self, seed: object, shops: Mapping[str, Http], sql: Sql) -> None:
        super().__init__(seed)
        self.shops = shops
        self.sql = sql

    def act(self) -> None:
        for one in self.sql.rows(
            "SELECT id, producer FROM charges WHERE producer = ANY(%s) AND (state = 'pending'"
            " OR created_at > now() - interval '1 s') ORDER BY md5(id || %s) LIMIT 1",
            [*self.shops], str(self.dice.random()),
        ):  # fmt: skip
            shop = self.shops[one["producer"]]
            shop.ask(
                "POST", f"/charges/{one['id']}/cancel", did="cancel", note={"id": one["id"]},
                headers={"idempotency-key": f"cancel-{one['id']}"},
            )  # fmt: skip


class Shipper(Colleague):
    """Takes what shops have set aside, as goods leave: the whole, a part, or the last of it; each
    capture under a key, and again when unheard."""

    pause_s = 0.3

    def __init__(self, seed: object, shops: Mapping[str, Http], sql: Sql) -> None:
        super().__init__(seed)
        self.shops = shops
        self.sql = sql
        self.number = 0
        self.open: list[tuple[str, str, str, dict[str, Any]]] = []

    def act(self) -> None:
        for one in self._set_aside(2):
            part = max(10, int(one["left"] * 0.4) // 10 * 10)
            fields: list[dict[str, Any]] = [{}, {"amount": part}, {"amount": part, "final": False}]
            self._ship(one, self.dice.choice([*fields, fields[-1]]))
        self.finish(1)

    def finish(self, tries: int = 1) -> None:
        """Ask (again) for what has no answer yet."""
        for _ in range(tries):
            for one in [*self.open]:
                producer, charge_id, key, fields = one
                answer = self.shops[producer].ask(
                    "POST", f"/charges/{charge_id}/capture", did="capture", body=fields,
                    note={"id": charge_id, "key": key, "fields": fields},
                    headers={"idempotency-key": key},
                )  # fmt: skip
                if answer.accepted or answer.refused:
                    self.open.remove(one)
            if not self.open:
                return

    def ship_the_rest(self) -> None:
        """Take what is left of everything, and let go of what can't be taken."""
        for one in self._set_aside(100):
            if one["capture_failure_code"] is None:
                self._ship(one, {})
            else:
                self.shops[one["producer"]].ask(
                    "POST", f"/charges/{one['id']}/cancel", did="cancel", note={"id": one["id"]}
                )
        self.finish(1)

    def _ship(self, one: Mapping[str, Any], fields: dict[str, Any]) -> None:
        self.number += 1
        self.open.append((one["producer"], one["id"], f"capture-{self.number}", fields))

    def _set_aside(self, limit: int) -> list[dict[str, Any]]:
        return self.sql.rows(
            "SELECT id, producer, amount - amount_captured AS left, capture_failure_code"
            " FROM charges WHERE phase = 'authorized' AND cancel_requested_at IS NULL"
            " AND producer = ANY(%s) ORDER BY md5(id || %s) LIMIT %s",
            [*self.shops], str(self.dice.random()), limit,
        )  # fmt: skip


def written(folder: Path, name: str) -> bool:
    """Whether a shop has said this."""
    return (folder / name).exists()
