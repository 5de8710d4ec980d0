"""A whole run: servers, wires, processes, shops and staff; the storm, the calm, the evidence."""

import json
import random
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC
from itertools import count
from pathlib import Path
from typing import Any

import urllib3

from local.embedded.postgres import Postgres
from tests.conftest import environ_for
from tests.storm import evidence
from tests.storm.crew import Crew
from tests.storm.doors import Http, Message
from tests.storm.faults import Storm, plan
from tests.storm.journal import Journal
from tests.storm.servers import broker_of
from tests.storm.staff import (
    Canceler,
    Cli,
    Colleague,
    Customer,
    Follower,
    Forger,
    Poller,
    Postmaster,
    Reviewer,
    Shipper,
    Sql,
    Storekeeper,
)
from tests.storm.wire import wire_to
from tests.support import databases
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.sink import Answer, Received, webhook_sink
from tests.support.waiting import wait_for

SETTINGS = {
    # Short, so that a storm of minutes sees many leases end.
    "BILLING_LEASE_S": "3",
    "BILLING_CALL_DEADLINE_S": "1.4",
    "BILLING_SANDBOX_TIMEOUT_MS": "200",
    "BILLING_SANDBOX_LATENCY_MS": "40",
    # Half of it is for sending again; then a person decides. Longer than any stop or silence.
    "BILLING_SANDBOX_KEY_WINDOW_S": "30",
    "BILLING_SLOTS": "16",
    "BILLING_LOG_FORMAT": "json",
}
SHOPS = {
    "shop-http": "http",
    "shop-sdk": "sdk",
    "shop-mail": "message",
    "shop-sdk-mail": "sdk-broker",
}
STOCK = 40
Say = Callable[[str], None]


class Receivers:
    """What receivers do: mostly take it, sometimes not. Everything is written down."""

    def __init__(self, folder: Path, seed: object) -> None:
        self._file = (folder / "webhooks.jsonl").open("a", buffering=1)
        self._lock = threading.Lock()
        self._seed = seed
        self.calm = True

    def of(self, name: str) -> Callable[[Received], Answer]:
        dice = random.Random(f"{self._seed} receiver {name}")

        def answer(received: Received) -> Answer:
            with self._lock:
                chosen = self._choose(dice)
                line = {
                    "receiver": name,
                    "headers": dict(received.headers),
                    "body": received.body.decode(),
                    "status": None if chosen.hang_up else chosen.status,
                }
                self._file.write(json.dumps(line) + "\n")
            return chosen

        return answer

    def _choose(self, dice: random.Random) -> Answer:
        roll = 1.0 if self.calm else dice.random()
        if roll < 0.04:
            return Answer(status=500)
        if roll < 0.06:
            return Answer(hang_up=True)
        if roll < 0.08:
            return Answer(status=503, headers={"retry-after": "1"})
        return Answer(status=204, delay_s=0.3 if roll < 0.11 else 0.0)


class Run:
    """One storm in a folder."""

    def __init__(
        self, folder: Path, nursery: Nursery, *, seed: int, seconds: float, broker: str, say: Say
    ) -> None:
        self.folder = folder
        self.nursery = nursery
        self.seed = seed
        self.seconds = seconds
        self.broker_kind = broker
        self.say = say
        self.took: dict[str, float] = {}
        self.notes: dict[str, Any] = {"seed": seed, "seconds": seconds, "broker": broker}

    def carry_out(self) -> evidence.Evidence:
        """Everything, from empty servers to the evidence."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            enter = stack.enter_context
            self.database = enter(Postgres(folder / "postgres"))
            database_url = self._tables(enter)
            name = f"billing-storm-{self.seed}-{free_port()}"
            self.broker = enter(broker_of(self.broker_kind, folder, name))
            self.database_wire = enter(
                wire_to(database_url, speaks_postgres=True, seed=f"{self.seed} database")
            )
            self.broker_wire = enter(wire_to(self.broker.url, seed=f"{self.seed} broker"))
            self.journal = Journal(folder / "journal", "staff")
            self.sql = Sql(database_url)
            self._settle_in(enter, database_url)
            stack.callback(self.crew.dismiss)
            for step in (self.crew.start, self._furnish, self._open_shops, self._storm, self._calm):
                began = time.monotonic()
                step()
                name = step.__name__.strip("_").replace("_", " ")
                self.took[name] = round(time.monotonic() - began, 1)
            evidence.gather(folder, self.sql.rows)
            self._count()
            evidence.note(folder, self.notes)
        for server in ("postgres", "redis"):
            shutil.rmtree(folder / server, ignore_errors=True)
        return evidence.load(folder)

    # --- Before ---

    def _tables(self, enter: Callable[[Any], Any]) -> str:
        """The URL of a migrated database."""
        databases.make_template(self.database)
        return str(enter(databases.fresh(self.database)))

    def _crew(self) -> Crew:
        return Crew(self.nursery, self.environ, self.folder / "logs", self.seed)

    @property
    def commands(self) -> Nursery:
        """What runs `billing …`."""
        return self.nursery

    def _settle_in(self, enter: Callable[[Any], Any], database_url: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        folder = self.folder / "data"
        self.environ = {
            **environ_for(
                self.database_wire.url(database_url),
                self.broker_wire.url(self.broker.url),
                folder,
            ),
            **SETTINGS,
            "BILLING_HTTP_PORT": str(port),
        }
        # The same without wires: for what is set up before the storm.
        self.quiet_environ = {**self.environ, "BILLING_DATABASE_URL": database_url}
        self.quiet_environ["BILLING_BROKER_URL"] = self.broker.url
        self.crew = self._crew()
        self.receivers = Receivers(self.folder, self.seed)
        self.sinks = {}
        for name in ("all", "every", "moving"):
            self.sinks[name] = enter(webhook_sink())
            self.sinks[name].answer = self.receivers.of(name)

    def _furnish(self) -> None:
        """Keys, endpoints, prices: as an operator makes them, with the command line and HTTP."""
        self.keys = {name: self._key(name) for name in SHOPS}
        office_key = self._key("office", "--all-producers", "--scope", "operator")
        description = urllib3.request("GET", f"{self.url}/openapi.json").json()
        self.can_cancel = any(
            path.endswith("/charges/{id}/cancel") for path in description["paths"]
        )
        types = sorted(set(description["webhooks"]) - {"ping"})
        self.notes["event_types"] = types
        by_name = [part for one in types for part in ("--event", one)]
        endpoints = {}
        for name, sink in self.sinks.items():
            made = self._cli(
                "endpoint", "add", sink.url, "--json", *(by_name if name == "every" else ())
            )
            endpoints[name] = {"id": made["id"], "secrets": [made["secret"]]}
        self.notes["endpoints"] = endpoints
        self.office = Http(self.url, office_key, self.journal, "office")
        made = self.office.ask("POST", "/products", did="setup", body={"name": "Tea"})
        assert made.accepted, made
        self.prices = []
        for amount, currency in ((1900, "usd"), (250, "jpy")):
            fields = {
                "product_id": made.body["id"], "unit_amount": str(amount),
                "currency_id": f"cur_{currency}", "quantity_available": STOCK,
            }  # fmt: skip
            price = self.office.ask("POST", "/prices", did="setup", body=fields)
            assert price.accepted, price
            self.prices.append(
                {"id": price.body["id"], "unit_amount": amount, "currency": currency.upper()}
            )
        self.notes["prices"] = self.prices
        self.notes["stock"] = STOCK

    def _cli(self, *arguments: str) -> dict[str, Any]:
        cli = Cli(self.commands, self.quiet_environ, self.journal, "setup")
        status, said = cli.run(*arguments, did="setup")
        assert status == 0, said
        found: dict[str, Any] = json.loads(said[said.index("{") :])
        return found

    def _key(self, name: str, *options: str) -> str:
        cli = Cli(self.commands, self.quiet_environ, self.journal, "setup")
        status, said = cli.run("keys", "create", name, "--json", *options, did="setup")
        if status != 0 and options:  # of a service that knows no such options, every key sees all
            return self._key(name)
        assert status == 0, said
        return str(json.loads(said[said.index("{") :])["key"])

    def _open_shops(self) -> None:
        for name, door in SHOPS.items():
            wish = {
                "name": name,
                "door": door,
                "folder": str(self.folder),
                "seed": self.seed,
                "pause_s": 0.25,
                "url": self.url,
                "api_key": self.keys[name],
                "broker_url": self.broker_wire.url(self.broker.url),
                "prices": self.prices,
            }
            self.crew.hire(name, self._shop(name, json.dumps(wish)))
        self._wait_for_shops("opened")

    def _shop(self, name: str, wish: str) -> Callable[[], Program]:
        environ = {key: value for key, value in self.environ.items() if "BILLING_" not in key}
        return lambda: self.nursery.run(name, "tests.storm.shop", [wish], environ)

    def _wait_for_shops(self, what: str) -> None:
        def missing() -> bool:
            away = [name for name in SHOPS if not (self.folder / f"{name}.{what}").exists()]
            assert not away, f"not {what}: {away}"
            return True

        wait_for(missing, what=f"all shops to have {what}", every_s=0.1)

    # --- The storm ---

    def _staff(self) -> list[Colleague]:
        seed = self.seed
        cli = Cli(self.commands, self.environ, self.journal, "operator")
        doors = {
            name: Http(self.url, key, self.journal, f"{name}-clerk")
            for name, key in self.keys.items()
        }
        self.doors = doors
        moving = self.notes["endpoints"]["moving"]["id"]
        (begin,) = self.sql.rows("SELECT (now() - interval '1 hour')::timestamptz AS at")
        since = begin["at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
        message = Message(self.broker_wire.url(self.broker.url), self.journal, "forger")
        self.reviewer = Reviewer(seed, self.sql, cli)
        self.customer = Customer(seed, self.sql, cli)
        self.storekeeper = Storekeeper(seed, self.office, self.prices)
        self.postmaster = Postmaster(seed, self.office, moving, since)
        self.follower = Follower(seed, self.office)
        self.forger = Forger(seed, message, self.sql)
        self.pollers = [Poller(seed, door, since) for door in doors.values()]
        everybody = [
            self.reviewer, self.customer, self.storekeeper, self.postmaster, self.follower,
            self.forger, *self.pollers,
        ]  # fmt: skip
        self.shipper = Shipper(seed, doors, self.sql)
        everybody.append(self.shipper)
        if self.can_cancel:
            everybody.append(Canceler(seed, doors, self.sql))
        return everybody

    def _storm(self) -> None:
        faults = plan(self.seed, self.seconds)
        self.say(f"{len(faults)} faults in {self.seconds:g} s, seed {self.seed}")
        self.staff = self._staff()
        for colleague in self.staff:
            colleague.start()
        self.receivers.calm = False
        (self.folder / "storm").touch()
        self.storm = Storm(
            self.crew, self.database, self.database_wire, self.broker, self.broker_wire, [*SHOPS]
        )
        self.storm.blow(faults)

    # --- The calm ---

    def _calm(self) -> None:
        self.receivers.calm = True
        self.notes["calm_at"] = time.monotonic()
        self.crew.wait_until_all_work()
        (self.folder / "calm").touch()
        for colleague in self.staff:
            if colleague not in (self.reviewer, self.customer, self.follower):
                colleague.stop()
        try:
            self._wait_for_shops("done")
        except AssertionError as error:
            self.notes["never answered"] = str(error)  # the witness tells it
        self.took["until all were answered"] = round(time.monotonic() - self.notes["calm_at"], 1)
        self.storekeeper.finish(20)
        self.shipper.finish(20)
        self._wait_for_the_end()
        self.took["until all had ended"] = round(time.monotonic() - self.notes["calm_at"], 1)
        for colleague in self.staff:
            colleague.stop()
        self.follower.finish(self._last_position)
        for poller in self.pollers:
            poller.act()
        self._read_everything()
        self.notes["ended_at"] = time.monotonic()

    def _wait_for_the_end(self) -> None:
        """Until nothing is open; if that never comes, the witness has the last word on it."""
        self._let_time_pass()
        self.shipper.ship_the_rest()
        left, rounds = self._open(), count(1)

        def now() -> dict[str, int]:
            if next(rounds) % 8 == 0:
                self._let_time_pass()
                self.shipper.ship_the_rest()
            return self._open()

        try:
            while before := left:  # however many they are, as long as some of them end
                left = wait_for(
                    now, until=lambda found, before=before: found != before,  # type: ignore[misc]
                    what="some of what is open to end", every_s=0.25,
                )  # fmt: skip
        except AssertionError as error:
            self.say(str(error))

    def _open(self) -> dict[str, int]:
        counts = {
            "charges": "SELECT count(*) AS n FROM charges WHERE state = 'pending'",
            "refunds": "SELECT count(*) AS n FROM refunds WHERE state = 'pending'",
            "turns": "SELECT count(*) AS n FROM sandbox_requests WHERE turns_at IS NOT NULL",
            "returned refunds": "SELECT count(*) AS n FROM sandbox_ledger l JOIN refunds r"
            " ON r.id = l.object_id WHERE direction = 'reversal' AND state = 'succeeded'",
            "deliveries": "SELECT count(*) AS n FROM deliveries WHERE state <> 'delivered'",
        }
        found = {name: self.sql.rows(statement) for name, statement in counts.items()}
        return {
            name: rows[0]["n"] if rows else 1
            for name, rows in found.items()
            if not rows or rows[0]["n"]
        }

    def _let_time_pass(self) -> None:
        """What is due later is due now; nothing else is touched."""
        for table in ("charges", "refunds"):
            self.sql.rows(
                f"UPDATE {table} SET next_attempt_at = now() WHERE state = 'pending'"
                " AND lease_token IS NULL AND next_attempt_at > now() + interval '1 second'"
            )
        self.sql.rows("UPDATE sandbox_events SET next_offer_at = now() WHERE next_offer_at > now()")
        if self.postmaster.enable():
            for name, endpoint in self.notes["endpoints"].items():
                path = f"/webhook-endpoints/{endpoint['id']}"
                Postmaster(
                    f"{self.seed} {name}",
                    self.office,
                    path.rsplit("/", 1)[1],
                    self.postmaster.since,
                ).replay()

    def _last_position(self) -> int:
        rows = self.sql.rows("SELECT coalesce(max(position), 0) AS last FROM events")
        return int(rows[0]["last"]) if rows else 0

    def _read_everything(self) -> None:
        """Each object once more, by whom it belongs to: the last answers that are held against
        the truth."""
        for kind in ("charge", "refund"):
            for row in self.sql.rows(f"SELECT id, producer FROM {kind}s ORDER BY id"):
                if row["producer"] in self.doors:
                    self.doors[row["producer"]].read(kind, row["id"])

    def _count(self) -> None:
        tables = ("charges", "refunds", "captures", "events", "deliveries", "quarantined_messages")
        self.notes["rows"] = {
            name: self.sql.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in tables
        }
        self.notes["took"] = self.took
        self.notes["faults"] = dict(self.storm.counts)
        self.notes["processes"] = dict(self.crew.counts)
        self.notes["ended by themselves"] = dict(self.crew.endings)
        self.notes["database wire"] = dict(self.database_wire.counts)
        self.notes["broker wire"] = dict(self.broker_wire.counts)
        self.notes["errors"] = self.storm.errors + [e for one in self.staff for e in one.errors]
