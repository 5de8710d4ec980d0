"""What must be true once everything is quiet, whoever died on the way: asked from outside."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text
from standardwebhooks import Webhook

from infra.billing.contract.event_types import ONLY_BY_NAME
from tests.support.sandbox import moved_twice
from tests.support.sink import Received, Sink
from tests.support.waiting import wait_for

FINAL = ("succeeded", "failed")


# What Standard Webhooks' own libraries allow between sending and receiving.
TOLERANCE_S = 300


def assert_is_signed(request: Received, secret: str) -> None:
    """As the receiver judged it when it came: whoever asks may ask long after that."""
    sent_at = int(request.headers["webhook-timestamp"])
    assert abs(request.at - sent_at) <= TOLERANCE_S
    expected = Webhook(secret).sign(
        request.headers["webhook-id"], datetime.fromtimestamp(sent_at, UTC), request.body.decode()
    )
    assert expected in request.headers["webhook-signature"].split(" ")


@dataclass(frozen=True)
class Witness:
    """Knows the database, the sandbox's ledger and the receiver, and believes none of them alone.

    `secret` is that of the sink's endpoint.
    """

    engine: Engine
    sink: Sink
    secret: str

    def rows(self, statement: str, **parameters: Any) -> list[Mapping[str, Any]]:
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]

    def object(self, id_: str) -> Mapping[str, Any] | None:
        """The charge or refund, as its row stands."""
        table = "charges" if id_.startswith("ch_") else "refunds"
        return next(iter(self.rows(f"SELECT * FROM {table} WHERE id = :id", id=id_)), None)

    def state(self, id_: str) -> str | None:
        row = self.object(id_)
        return row["state"] if row else None

    def story(self, id_: str) -> list[str]:
        """What was tried, in order: `charge lease_expired`, `look_up succeeded`."""
        attempts = self.rows(
            "SELECT verb, outcome FROM attempts WHERE object_id = :id ORDER BY number", id=id_
        )
        return [f"{attempt['verb']} {attempt['outcome']}" for attempt in attempts]

    def movements(self, id_: str) -> list[tuple[str, int]]:
        """Direction and amount of each movement of this very charge or refund."""
        moved = self.rows(
            "SELECT direction, amount FROM sandbox_ledger WHERE object_id = :id ORDER BY id", id=id_
        )
        return [(one["direction"], one["amount"]) for one in moved]

    def captured(self, charge_id: str) -> list[int]:
        """What each capture of a charge moved, in order."""
        moved = self.rows(
            "SELECT amount FROM sandbox_ledger WHERE charge_id = :id AND direction = 'capture'"
            " ORDER BY id",
            id=charge_id,
        )
        return [one["amount"] for one in moved]

    def open(self) -> list[str]:
        """The ids of all charges and refunds that are not final."""
        found = self.rows(
            "SELECT id FROM charges WHERE state = 'pending'"
            " UNION ALL SELECT id FROM refunds WHERE state = 'pending'"
        )
        return [row["id"] for row in found]

    def undelivered(self) -> int:
        (row,) = self.rows("SELECT count(*) AS n FROM deliveries WHERE state <> 'delivered'")
        return int(row["n"])

    def wait_until_final(self, ids: Collection[str]) -> None:
        """Until each of them is there and final, and everything that is due was delivered."""

        def final() -> bool:
            there = self.rows(
                "SELECT id, state FROM charges WHERE id = ANY(:ids)"
                " UNION ALL SELECT id, state FROM refunds WHERE id = ANY(:ids)",
                ids=list(ids),
            )
            left = set(ids) - {row["id"] for row in there if row["state"] in FINAL}
            assert not left, f"{len(left)} not final, such as {[self.look(i) for i in [*left][:3]]}"
            return True

        wait_for(final, what="all to be final", every_s=0.05)
        self.wait_until_quiet()

    def wait_until_quiet(self) -> None:
        """Until nothing is pending and everything is delivered."""

        def quiet() -> bool:
            assert not (left := self.open()), (
                f"{len(left)} open: {[self.look(i) for i in left[:3]]}"
            )
            assert not self.undelivered(), f"{self.undelivered()} webhooks not delivered"
            return True

        wait_for(quiet, what="quiet", every_s=0.05)

    def look(self, id_: str) -> str:
        """Where one stands, for a person."""
        row = self.object(id_)
        return f"{id_} {row['state']} {row['phase']} {self.story(id_)}" if row else f"{id_} absent"

    def testify(self) -> None:
        """Fail unless everything in the database adds up; to be called when all is quiet."""
        objects = self.rows(
            "SELECT id, id AS charge_id, 'charge' AS kind, state, amount, attempts, lease_token,"
            " sequence, failure_code IN ('canceled', 'expired') AS was_ended FROM charges UNION ALL"
            " SELECT id, charge_id, 'refund', state, amount, attempts, lease_token, sequence, FALSE"
            " FROM refunds"
        )
        self._money_moved_once(objects)
        self._refunds_stay_within_charges()
        self._stock_adds_up()
        self._history_is_whole(objects)
        self._everybody_was_told(objects)

    def _money_moved_once(self, objects: list[Mapping[str, Any]]) -> None:
        with self.engine.connect() as connection:
            assert moved_twice(connection) == []
        moved = {
            row["object_id"]: (row["direction"], row["amount"])
            for row in self.rows("SELECT object_id, direction, amount FROM sandbox_ledger")
        }
        # Of a charge that is captured by hand, each capture moves its own.
        by_hand = {
            row["id"] for row in self.rows("SELECT id FROM charges WHERE capture = 'manual'")
        }
        expected = {
            row["id"]: (row["kind"], row["amount"])
            for row in objects
            if row["state"] == "succeeded" and row["id"] not in by_hand
        }
        captures = self.rows("SELECT id, amount FROM captures WHERE state = 'succeeded'")
        expected |= {row["id"]: ("capture", row["amount"]) for row in captures}
        assert moved == expected

    def _refunds_stay_within_charges(self) -> None:
        wrong = self.rows(
            "SELECT c.id, c.refunded_amount, c.refund_reserved, r.* FROM charges c"
            " CROSS JOIN LATERAL (SELECT"
            "  coalesce(sum(amount) FILTER (WHERE state = 'succeeded'), 0) AS refunded,"
            "  coalesce(sum(amount) FILTER (WHERE state <> 'failed' AND reserved), 0) AS reserved"
            "  FROM refunds WHERE charge_id = c.id) r"
            " WHERE c.refunded_amount <> r.refunded OR c.refund_reserved <> r.reserved"
        )
        assert wrong == []

    def _stock_adds_up(self) -> None:
        wrong = self.rows(
            "SELECT p.id, p.quantity_available, p.initial_quantity, r.*, c.* FROM prices p"
            " CROSS JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS out FROM charges"
            "  WHERE price_id = p.id AND state <> 'failed') r"
            " CROSS JOIN LATERAL (SELECT coalesce(sum(f.restocked), 0) AS back FROM refunds f"
            "  JOIN charges c ON c.id = f.charge_id WHERE c.price_id = p.id) b"
            " CROSS JOIN LATERAL (SELECT coalesce(sum(change), 0) AS counted"
            "  FROM inventory_changes WHERE price_id = p.id) c"
            " WHERE p.quantity_available + out - back <> p.initial_quantity + counted"
        )
        assert wrong == []

    def _history_is_whole(self, objects: list[Mapping[str, Any]]) -> None:
        numbers = defaultdict(list)
        for row in self.rows("SELECT object_id, number FROM attempts ORDER BY number"):
            numbers[row["object_id"]].append(row["number"])
        for row in objects:
            assert row["lease_token"] is None, self.look(row["id"])
            assert numbers[row["id"]] == list(range(1, row["attempts"] + 1)), self.look(row["id"])

    def _everybody_was_told(self, objects: list[Mapping[str, Any]]) -> None:
        """Each final state has its event, and the sink has it, signed, with the same words."""
        events = {
            row["id"]: row for row in self.rows("SELECT id, type, object_id, body FROM events")
        }
        told = Counter((row["object_id"], row["type"]) for row in events.values())
        for row in objects:
            end = "canceled" if row["was_ended"] else row["state"]
            assert told[row["id"], f"{row['kind']}.{end}"] == 1, self.look(row["id"])
        received = set()
        for request in list(self.sink.requests):
            assert_is_signed(request, self.secret)
            id_ = request.headers["webhook-id"]
            assert request.body.decode() == events[id_]["body"]
            received.add(id_)
        wanted = {id_ for id_, row in events.items() if row["type"] not in ONLY_BY_NAME}
        assert wanted - received == set()
        states = {row["id"]: row["state"] for row in objects}
        for id_ in received & wanted:
            data = json.loads(events[id_]["body"])["data"]
            object_id = data.get("refund_id") or data.get("charge_id")
            if events[id_]["type"].split(".")[1] in (*FINAL, "canceled"):
                assert data["state"] == states[object_id]
