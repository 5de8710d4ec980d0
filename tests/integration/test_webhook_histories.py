"""Any history of tries that fail and succeed, drainers that die, and replays: the order of a strict
endpoint is kept, numbers have no gap, and nothing is left behind."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, text

from payments.webhooks.draining.drains import Due, Record
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.replays import replay
from tests.support.acting import Database
from tests.support.drains import next_batch, take
from tests.support.webhooks import an_endpoint, lease_runs_out, rows

URL = "http://127.0.0.1:1/hook"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OBJECTS = ("ch_a", "ch_b", "ch_c")


class Histories(RuleBasedStateMachine):
    """One endpoint, its drainers one after the other, and what arrives there."""

    engine: Engine

    @initialize(how=st.sampled_from(["strict", "relaxed"]))
    def begin(self, how: str) -> None:
        rows(self.engine, "TRUNCATE events, webhook_endpoints CASCADE")
        self.endpoint_id = an_endpoint(self.engine, URL).id
        rows(self.engine, "UPDATE webhook_endpoints SET ordered = :how", how=how)
        self.how = how
        self.events = dict.fromkeys(OBJECTS, 0)
        self.token: UUID = uuid4()
        self.under_way: list[Due] = []
        self.numbers: dict[int, int] = {}

    # --- What happens ---

    @rule(object_id=st.sampled_from(OBJECTS), count=st.integers(1, 3))
    def something_happens(self, object_id: str, count: int) -> None:
        for _ in range(count):
            self.events[object_id] += 1
            fact = Fact(
                "charge.succeeded", object_id, self.events[object_id], {}, datetime.now(UTC), "a"
            )
            with Database(self.engine).transaction() as transaction:
                publish(transaction, [fact])

    @rule(wanted=st.integers(0, 4), wanted_replays=st.integers(0, 4))
    def a_drainer_claims(self, wanted: int, wanted_replays: int) -> None:
        self._batch(wanted=wanted, wanted_replays=wanted_replays)

    @precondition(lambda self: self.under_way)
    @rule(
        choice=st.data(),
        state=st.sampled_from(["delivered", "pending", "exhausted"]),
        retry_in_s=st.sampled_from([5.0, 300.0]),
        wanted=st.integers(0, 3),
    )
    def some_are_answered(
        self, choice: st.DataObject, state: str, retry_in_s: float, wanted: int
    ) -> None:
        some = choice.draw(st.sets(st.sampled_from(range(len(self.under_way))), min_size=1))
        answered = [self.under_way[place] for place in some]
        records = [
            Record(
                due.delivery_id, due.number, state, retry_in_s if state == "pending" else None,
                0.1, 100, 200 if state == "delivered" else 500, None, None, None,
                due.attempts_before,
            )
            for due in answered
        ]  # fmt: skip
        self._batch(records=records, wanted=wanted, wanted_replays=wanted)
        gone = {due.delivery_id for due in answered}
        self.under_way = [due for due in self.under_way if due.delivery_id not in gone]

    @rule()
    def the_drainer_dies(self) -> None:
        lease_runs_out(self.engine)
        self.token, self.under_way = uuid4(), []

    @rule()
    def tries_become_due(self) -> None:
        """But nothing that waits for an earlier one."""
        rows(
            self.engine,
            "UPDATE deliveries SET next_attempt_at = now()"
            " WHERE state = 'pending' AND waits_for IS NULL",
        )

    @rule()
    def what_waits_is_looked_at(self) -> None:
        rows(self.engine, "UPDATE deliveries SET next_attempt_at = now() WHERE state = 'pending'")

    @rule(only=st.sampled_from(["failed", "missed", "undelivered", "all"]))
    def events_are_replayed(self, only: str) -> None:
        with Database(self.engine).transaction() as transaction:
            replay(transaction, self.endpoint_id, since=LONG_AGO, only=only)

    @rule()
    def somebody_is_away_for_a_while(self) -> None:
        """What happens meanwhile is missed."""
        rows(self.engine, "UPDATE webhook_endpoints SET state = 'disabled'")
        self.something_happens("ch_a", 1)
        rows(self.engine, "UPDATE webhook_endpoints SET state = 'enabled'")

    # --- What holds ---

    @invariant()
    def numbers_have_no_gap(self) -> None:
        if not hasattr(self, "numbers"):
            return
        found = rows(self.engine, "SELECT id, sequence FROM deliveries WHERE sequence IS NOT NULL")
        now = {row["id"]: row["sequence"] for row in found}
        assert self.numbers.items() <= now.items()  # for ever the same
        assert sorted(now.values()) == list(range(1, len(now) + 1))
        (endpoint,) = rows(self.engine, "SELECT last_sequence FROM webhook_endpoints")
        assert endpoint["last_sequence"] == len(now)
        self.numbers = now

    def teardown(self) -> None:
        """In the end every try succeeds, and everything arrives: nobody had to look by and by."""
        if not hasattr(self, "numbers"):
            return
        self.the_drainer_dies()
        for _ in range(200):
            self.tries_become_due()
            self._batch(wanted=5, wanted_replays=5)
            records = [
                Record(due.delivery_id, due.number, "delivered", None, 0.1, 100, 200, None, None,
                       None, due.attempts_before)
                for due in self.under_way
            ]  # fmt: skip
            self.under_way = []
            self._batch(records=records)
            left = rows(self.engine, "SELECT * FROM deliveries WHERE state = 'pending'")
            if not left:
                break
        assert not left
        self.numbers_have_no_gap()

    def _batch(self, **what: Any) -> None:
        """Claim and record, as a drainer does."""
        with self.engine.connect() as connection:
            if not take(connection, self.endpoint_id, self.token):
                is_ours = connection.execute(
                    text("SELECT drain_token = :token FROM webhook_endpoints"),
                    {"token": self.token},
                ).scalar()
                if not is_ours:
                    return
            held = [due.delivery_id for due in self.under_way]
            batch = next_batch(connection, self.endpoint_id, self.token, held=held, **what)
            assert batch is not None
            for due in batch.due:
                assert due.is_replay is self._row(connection, due.delivery_id)["is_replay"]
                if self.how == "strict":
                    self._is_first_of_its_object(connection, due, what.get("records", ()))
            connection.commit()
            self.under_way += batch.due

    @staticmethod
    def _row(connection: Connection, delivery_id: int) -> Any:
        asked = text("SELECT * FROM deliveries WHERE id = :id")
        return connection.execute(asked, {"id": delivery_id}).mappings().one()

    def _is_first_of_its_object(self, connection: Connection, due: Due, records: Any) -> None:
        before = text(
            "SELECT e.id FROM deliveries e, deliveries d WHERE d.id = :id"
            " AND e.object_id = d.object_id AND e.object_sequence < d.object_sequence"
            " AND e.state = 'pending'"
        )
        assert connection.execute(before, {"id": due.delivery_id}).all() == []


def test_any_history_keeps_the_order_and_the_numbers(engine: Engine) -> None:
    class Here(Histories):
        pass

    Here.engine = engine
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Here,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
