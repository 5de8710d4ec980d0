"""Drains: one drainer per endpoint, and one that died or overslept does no harm."""

import asyncio
import random
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, TextClause
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from infra.billing.contract.ids import event_id
from payments.transaction import Wakes
from payments.webhooks import endpoints
from payments.webhooks.draining import drain_statements, drains, leases
from payments.webhooks.draining.drainer import Drainer
from payments.webhooks.draining.drains import (
    Begin,
    DrainBatch,
    Drained,
    Due,
    NextBatch,
    Record,
    due_endpoints,
)
from payments.webhooks.draining.leases import Alive
from payments.webhooks.draining.posting import Answered, Poster
from payments.webhooks.draining.together import Ask, Step
from payments.webhooks.draining.tools import Tools, uncounted
from payments.webhooks.outbox import publish
from payments.webhooks.pacing.local_words import INTERNAL
from payments.webhooks.response_bodies import readable
from payments.webhooks.target import TargetCheck
from payments.webhooks.targets.dispatch import Targets
from payments.webhooks.targets.target_port import Answer as PostAnswer
from payments.webhooks.targets.target_port import Limits
from tests.support.acting import Database
from tests.support.drains import a_record, next_batch, take
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import (
    LOOPBACK,
    PATIENT,
    a_deliverer,
    a_fact,
    all_is_due,
    an_endpoint,
    attempts,
    deliveries,
    events_happen,
    lease_runs_out,
    rows,
)

T = TypeVar("T")

ONE, OTHER = uuid4(), uuid4()
URL = "http://127.0.0.1:1/hook"


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Each statement commits by itself, as it does in a drain."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


@pytest.fixture
def endpoint_id(engine: Engine) -> str:
    """An endpoint with one delivery due."""
    id_: str = an_endpoint(engine, URL).id
    events_happen(engine)
    return id_


def claimed(connection: Connection, endpoint_id: str, token: UUID, wanted: int = 10) -> list[int]:
    batch = next_batch(connection, endpoint_id, token, wanted=wanted)
    assert batch is not None
    return [due.delivery_id for due in batch.due]


# --- The lease ---


def test_a_second_drainer_finds_the_endpoint_taken(
    connection: Connection, endpoint_id: str
) -> None:
    assert take(connection, endpoint_id, ONE)
    assert not take(connection, endpoint_id, OTHER)
    assert next_batch(connection, endpoint_id, OTHER, wanted=10) is None


def test_a_released_endpoint_can_be_taken_again(connection: Connection, endpoint_id: str) -> None:
    assert take(connection, endpoint_id, ONE)
    assert next_batch(connection, endpoint_id, ONE, releasing=True) is not None
    assert take(connection, endpoint_id, OTHER)


def test_nothing_is_taken_when_nothing_is_due(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    rows(engine, "UPDATE deliveries SET next_attempt_at = now() + interval '1 minute'")
    assert not take(connection, endpoint_id, ONE)


def test_a_disabled_endpoint_is_not_taken(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    with Database(engine).transaction() as transaction:
        endpoints.disable(transaction, endpoint_id)
    assert not take(connection, endpoint_id, ONE)


def test_who_waited_for_the_drainer_before_sees_what_that_one_recorded(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    """The statement began before that was committed: it must not set the second event of an object
    behind the first, which is delivered, as nothing would let it pass."""
    rows(engine, "DELETE FROM deliveries")
    first = replace(a_fact(), object_id="ch_both")
    with Database(engine).transaction() as transaction:
        publish(transaction, [first, replace(first, sequence=2)])
    take(connection, endpoint_id, ONE)
    batch = next_batch(connection, endpoint_id, ONE, wanted=9)
    assert batch is not None
    (due,) = batch.due
    rows(engine, "UPDATE deliveries SET waits_for = NULL, next_attempt_at = now()")
    lease_runs_out(engine)
    found: list[DrainBatch | None] = []
    with engine.begin() as before:
        next_batch(before, endpoint_id, ONE, records=[a_record(due.delivery_id)], releasing=True)
        after = threading.Thread(target=lambda: found.append(_begun(engine, endpoint_id)))
        after.start()
        wait_for(lambda: rows(engine, _WAITING), what="the second to wait for the row")
    after.join(patience_s())
    (begun,) = found
    assert begun is not None
    assert [one.event_id for one in begun.due] == [event_id("ch_both", 2)]


def _begun(engine: Engine, endpoint_id: str) -> DrainBatch | None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        (batch,) = drains.begin(connection, [Begin(endpoint_id, OTHER, wanted=9)], waits=True)
    assert not isinstance(batch, drains.Locked)
    return batch


_WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def test_disabling_ends_a_drain_but_what_was_posted_is_recorded(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    take(connection, endpoint_id, ONE)
    (delivery_id,) = claimed(connection, endpoint_id, ONE)
    events_happen(engine)
    with Database(engine).transaction() as transaction:
        endpoints.disable(transaction, endpoint_id)
    batch = next_batch(connection, endpoint_id, ONE, records=[a_record(delivery_id)], wanted=10)
    assert batch is not None
    assert (batch.recorded, batch.due) == (1, [])


def test_a_turn_renews_the_lease(connection: Connection, engine: Engine, endpoint_id: str) -> None:
    take(connection, endpoint_id, ONE)
    lease_runs_out(engine)
    next_batch(connection, endpoint_id, ONE)  # nobody took over meanwhile: it is still ours
    assert not take(connection, endpoint_id, OTHER)


def test_what_a_drainer_holds_is_not_given_to_it_twice(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    take(connection, endpoint_id, ONE)
    held = claimed(connection, endpoint_id, ONE)
    events_happen(engine, 2)
    batch = next_batch(connection, endpoint_id, ONE, held=held, wanted=10)
    assert batch is not None
    assert len(batch.due) == 2
    assert held[0] not in [due.delivery_id for due in batch.due]


def test_the_longest_due_comes_first_and_no_more_than_wanted(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    events_happen(engine, 5)
    rows(
        engine,
        "UPDATE deliveries SET next_attempt_at = next_attempt_at - id * interval '1 second'",
    )
    take(connection, endpoint_id, ONE)
    newest_first = sorted((row["id"] for row in deliveries(engine)), reverse=True)
    assert claimed(connection, endpoint_id, ONE, wanted=4) == newest_first[:4]


# --- Fencing ---


@pytest.mark.parametrize("is_released_again", [False, True])
def test_a_zombie_changes_nothing(
    connection: Connection, engine: Engine, endpoint_id: str, is_released_again: bool
) -> None:
    take(connection, endpoint_id, ONE)
    (delivery_id,) = claimed(connection, endpoint_id, ONE)
    lease_runs_out(engine)
    assert take(connection, endpoint_id, OTHER)
    if is_released_again:
        next_batch(connection, endpoint_id, OTHER, releasing=True)
    before = rows(engine, "SELECT * FROM webhook_endpoints"), deliveries_only(engine)
    for releasing in (False, True):
        late = next_batch(
            connection, endpoint_id, ONE, records=[a_record(delivery_id)], releasing=releasing
        )
        assert late is None
    assert (rows(engine, "SELECT * FROM webhook_endpoints"), deliveries_only(engine)) == before
    assert attempts(engine) == []


def test_an_attempt_is_counted_once(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    take(connection, endpoint_id, ONE)
    (delivery_id,) = claimed(connection, endpoint_id, ONE)
    failed = a_record(delivery_id, state="pending", retry_in_s=5.0, status_code=500)
    recorded = []
    for _ in range(2):  # as when the answer to the first statement got lost
        batch = next_batch(connection, endpoint_id, ONE, records=[failed])
        assert batch is not None
        recorded.append(batch.recorded)
    assert recorded == [1, 0]
    assert [row["attempts"] for row in deliveries(engine)] == [1]
    assert len(attempts(engine)) == 1


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=st.binary(), error=st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_whatever_a_receiver_says_can_be_recorded(
    connection: Connection, engine: Engine, endpoint_id: str, body: bytes, error: str
) -> None:
    lease_runs_out(engine)
    rows(engine, "DELETE FROM delivery_attempts")
    rows(engine, "UPDATE deliveries SET state = 'pending', attempts = 0, next_attempt_at = now()")
    assert take(connection, endpoint_id, ONE)
    (delivery_id,) = claimed(connection, endpoint_id, ONE)
    record = a_record(delivery_id, response_body=readable(body), error=error)
    batch = next_batch(connection, endpoint_id, ONE, records=[record])
    assert batch is not None
    assert batch.recorded == 1
    (attempt,) = attempts(engine)
    assert (attempt["response_body"], attempt["error"]) == (readable(body), error)


# --- All drainers of a process ---


def alive(endpoint_id: str, token: UUID, *, held: int = 0, is_full: bool = False) -> Alive:
    return Alive(endpoint_id, token, held, is_full)


def test_leases_are_renewed_together_and_only_by_who_has_them(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    other = an_endpoint(engine, URL).id
    events_happen(engine)
    for id_ in (endpoint_id, other):
        assert take(connection, id_, ONE)
    lease_runs_out(engine)
    leases.renew(connection, [alive(other, OTHER), alive(endpoint_id, ONE)])
    assert not take(connection, endpoint_id, OTHER)
    assert take(connection, other, OTHER)


def test_more_is_due_than_a_drainer_holds(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    events_happen(engine, 2)
    assert leases.with_more_due(connection, [alive(endpoint_id, ONE, held=3)]) == []
    assert leases.with_more_due(connection, [alive(endpoint_id, ONE, held=2)]) == [endpoint_id]


def woken_by_an_event(engine: Engine) -> set[str]:
    woken: list[Wakes] = []
    with Database(engine, woken.append).transaction() as transaction:
        publish(transaction, [a_fact()])
    return woken[0].endpoints if woken else set()


def test_a_drainer_that_has_all_it_can_do_is_not_told_of_more(
    connection: Connection, engine: Engine, endpoint_id: str
) -> None:
    take(connection, endpoint_id, ONE)
    next_batch(connection, endpoint_id, ONE, places=0)
    assert woken_by_an_event(engine) == set()
    leases.renew(connection, [alive(endpoint_id, ONE, is_full=False)])
    assert woken_by_an_event(engine) == {endpoint_id}
    leases.renew(connection, [alive(endpoint_id, ONE, is_full=True)])
    assert woken_by_an_event(engine) == set()
    lease_runs_out(engine)  # nobody looks for itself any more
    assert woken_by_an_event(engine) == {endpoint_id}
    next_batch(connection, endpoint_id, ONE, places=0)
    next_batch(connection, endpoint_id, ONE, places=0, releasing=True)
    assert woken_by_an_event(engine) == {endpoint_id}


def test_what_a_drainer_was_not_told_is_found_while_it_waits(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 1:
            events_happen(engine)  # its wake-up call is lost
            sink.wait_for(2)
        return Answer()

    sink.answer = answer
    with a_deliverer(engine, limits=PATIENT) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=2)


def test_a_lease_lasts_as_long_as_its_drainer_waits(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "LEASE_S", 1.0)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    (taken,) = rows(engine, "SELECT now() AS at")

    def answer(_: Received) -> Answer:
        wait_for(
            lambda: rows(
                engine,
                "SELECT 1 FROM webhook_endpoints WHERE drain_expires_at > :at",
                at=taken["at"] + timedelta(seconds=3),
            ),
            what="a lease that was renewed",
        )
        return Answer()

    sink.answer = answer
    with a_deliverer(engine, limits=PATIENT) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)


def test_a_process_that_is_stopping_begins_no_more_posts(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 400)
    is_stopping = threading.Event()

    def answer(_: Received) -> Answer:
        is_stopping.set()
        return Answer(delay_s=0.05)

    sink.answer = answer
    with a_deliverer(engine, drain_s=600, is_stopping=is_stopping.is_set) as deliverer:
        drained = deliverer.drain(endpoint.id)
    assert drained.more
    assert drained.delivered == len(sink.requests) < 400


# --- A drainer that dies, oversleeps, or loses its database ---


class KilledError(Exception):
    """Stands for kill -9: what comes after it does not happen."""


def drain_with(
    engine: Engine,
    endpoint_id: str,
    misfortune: Callable[[Ask], Ask],
    *,
    drain_s: float = 10.0,
) -> Drained:
    """Drain in this thread, with something going wrong between the drainer and the database."""
    return with_drainer(engine, endpoint_id, Drainer.run, misfortune, drain_s=drain_s)


def with_drainer(
    engine: Engine,
    endpoint_id: str,
    story: Callable[[Drainer], Awaitable[T]],
    misfortune: Callable[[Ask], Ask] = lambda ask: ask,
    *,
    drain_s: float = 10.0,
    counted: Callable[..., None] = uncounted,
) -> T:
    """What comes of a story of a drainer, on a loop in this thread."""

    async def ask(step: Step, item: Any, *, aside: bool) -> Any:
        def run() -> Any:
            with engine.begin() as connection:
                return step(connection, [item], waits=True)[0]

        return await asyncio.to_thread(run)

    async def run() -> T:
        targets = Targets(TargetCheck(LOOPBACK), limits=Limits())
        try:
            tools = Tools(
                targets,
                VAULT,
                misfortune(ask),
                lambda: 1_800_000_000,
                lambda: 0.5,
                counted=counted,
            )
            return await story(Drainer(tools, endpoint_id, drain_s=drain_s))
        finally:
            await targets.close()

    return asyncio.run(run())


def test_a_kill_between_post_and_record_costs_a_second_post_under_the_same_id(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def killed_before_it_records(ask: Ask) -> Ask:
        is_dead = False

        async def until_then(step: Step, item: Any, *, aside: bool) -> Any:
            nonlocal is_dead
            is_dead = is_dead or bool(getattr(item, "records", ()))
            if is_dead:
                raise KilledError
            return await ask(step, item, aside=aside)

        return until_then

    with pytest.raises(KilledError):
        drain_with(engine, endpoint.id, killed_before_it_records)
    assert len(sink.requests) == 1
    assert attempts(engine) == []

    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint.id) == Drained()  # the dead one's lease still stands
        lease_runs_out(engine)
        assert deliverer.drain(endpoint.id) == Drained(delivered=1)
    first, second = sink.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [row["state"] for row in deliveries(engine)] == ["delivered"]
    assert len(attempts(engine)) == 1


def test_a_drainer_that_oversleeps_leaves_the_field_to_its_successor(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def answer(_: Received) -> Answer:
        if len(sink.requests) > 1:
            return Answer()
        # The first is answered when another drainer has taken over and settled it.
        rows(engine, "UPDATE webhook_endpoints SET drain_token = NULL, drain_expires_at = NULL")
        with a_deliverer(engine) as successor:
            successor.drain(endpoint.id)
        return Answer(500)

    sink.answer = answer
    with a_deliverer(engine) as zombie:
        assert zombie.drain(endpoint.id) == Drained()
    assert len(sink.requests) == 2
    assert [row["state"] for row in deliveries(engine)] == ["delivered"]
    assert [row["status_code"] for row in attempts(engine)] == [204]


AWAY = OperationalError("", {}, Exception("the database is starting up"))


@pytest.mark.parametrize("error", [AWAY, NoConnectionFree("QueuePool limit reached")])
def test_while_the_database_is_away_results_are_kept_and_nothing_is_posted_twice(
    engine: Engine, sink: Sink, error: Exception
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 3)

    def away_for_two_statements(ask: Ask) -> Ask:
        refusals = iter([True, True])

        async def sometimes(step: Step, item: Any, *, aside: bool) -> Any:
            if getattr(item, "records", ()) and next(refusals, False):
                raise error
            return await ask(step, item, aside=aside)

        return sometimes

    drained = drain_with(engine, endpoint.id, away_for_two_statements)
    assert drained == Drained(delivered=3)
    assert len(sink.requests) == 3


def test_what_met_a_fault_of_ours_is_counted_as_nobody_elses(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 3)
    post, is_first, pairs = Poster.answer_to, iter([True]), []

    async def answer_to(poster: Poster, due: Due) -> PostAnswer:
        return PostAnswer(1, error=INTERNAL) if next(is_first, False) else await post(poster, due)

    def counted(answered: Sequence[Answered], records: Sequence[Record]) -> None:
        pairs.extend(zip(answered, records, strict=True))

    monkeypatch.setattr(Poster, "answer_to", answer_to)
    with_drainer(engine, endpoint.id, Drainer.run, counted=counted)
    assert len(pairs) == 2
    assert all(one.due.delivery_id == record.delivery_id for one, record in pairs)


def test_who_asks_to_be_left_alone_while_the_next_batch_comes_gets_nothing_more(
    engine: Engine, sink: Sink
) -> None:
    """The batch was written before that answer was noted, and says that nothing holds back."""
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine, 4)

    async def story(drainer: Drainer) -> tuple[bool, int]:
        drain = drainer._drain
        batch = await drain.recorder.begin(wanted=4, wanted_replays=0, places=1)
        assert batch is not None
        assert not batch.is_held_back
        drain._learn(PostAnswer(1, status_code=429, retry_after="600"))
        drain._accept(batch)
        return drain._is_ending, len(drain._ready)

    assert with_drainer(engine, endpoint.id, story) == (True, 0)


def test_what_is_committed_while_the_lease_is_given_back_is_found_by_the_second_look(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)

    def something_happens_before_the_release(ask: Ask) -> Ask:
        is_first = True

        async def late(step: Step, item: Any, *, aside: bool) -> Any:
            nonlocal is_first
            if getattr(item, "releasing", False) and is_first:
                is_first = False
                events_happen(engine)  # its wake-up call finds the lease taken, and leaves
            return await ask(step, item, aside=aside)

        return late

    drained = drain_with(engine, endpoint.id, something_happens_before_the_release)
    assert drained == Drained(delivered=2)


@pytest.mark.parametrize("drain_s", [0.2, 10.0], ids=["its time is up", "nothing else is due"])
def test_a_drainer_that_waits_for_slow_answers_leaves_the_database_in_peace(
    engine: Engine, sink: Sink, drain_s: float
) -> None:
    sink.answer = Answer(delay_s=1.0)
    endpoint = an_endpoint(engine, sink.url, max_in_flight=4)
    events_happen(engine, 4)
    statements: list[Any] = []

    def counted(ask: Ask) -> Ask:
        async def count(step: Step, item: Any, *, aside: bool) -> Any:
            statements.append(step)
            return await ask(step, item, aside=aside)

        return count

    drain_with(engine, endpoint.id, counted, drain_s=drain_s)
    assert len(statements) < 10


def test_an_endpoint_that_is_disabled_while_it_is_drained_gets_nothing_more(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 20)

    def answer(_: Received) -> Answer:
        with Database(engine).transaction() as transaction:
            endpoints.disable(transaction, endpoint.id)
        return Answer(delay_s=0.2)

    sink.answer = answer
    with a_deliverer(engine) as deliverer:
        drained = deliverer.drain(endpoint.id)
    assert drained.delivered == len(sink.requests) < 10
    assert {row["state"] for row in deliveries(engine)} == {"delivered", "pending"}


def test_whatever_goes_wrong_every_delivery_arrives_and_every_attempt_is_counted(
    engine: Engine, sink: Sink
) -> None:
    chance = random.Random(20)  # the same misfortunes each time, in an order of their own

    def answer(_: Received) -> Answer:
        luck = chance.random()
        if luck < 0.1:
            return Answer(hang_up=True)
        return Answer(500 if luck < 0.3 else 200, delay_s=0.05 * chance.random())

    sink.answer = answer
    endpoint_ids = [an_endpoint(engine, sink.url, max_in_flight=n).id for n in (1, 4, 16)]
    with a_deliverer(engine) as one, a_deliverer(engine) as other:
        under_way = []
        for _ in range(12):
            events_happen(engine, 10)
            under_way += [chance.choice([one, other]).submit(id_) for id_ in endpoint_ids]
            if chance.random() < 0.5:
                lease_runs_out(engine)
            all_is_due(engine)
        sink.answer = Answer()
        for _ in range(20):
            for drain in under_way:
                drain.result(patience_s())
            lease_runs_out(engine)
            all_is_due(engine)
            under_way = [one.submit(id_) for id_ in endpoint_ids]
            if all(row["state"] == "delivered" for row in deliveries(engine)):
                break
    books = rows(
        engine,
        "SELECT d.state, d.attempts, count(a.number) AS written, max(a.number) AS last,"
        " count(*) FILTER (WHERE a.status_code BETWEEN 200 AND 299) AS good"
        " FROM deliveries d LEFT JOIN delivery_attempts a ON a.delivery_id = d.id GROUP BY d.id",
    )
    assert len(books) == 3 * 120
    for row in books:
        assert row["state"] == "delivered"
        assert row["attempts"] == row["written"] == row["last"]
        assert row["good"] == 1


# --- The sweep ---


def swept(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return due_endpoints(connection)


def test_the_sweep_finds_an_endpoint_with_something_due_once_a_second(
    engine: Engine, endpoint_id: str
) -> None:
    an_endpoint(engine, URL)  # nothing is due there
    assert swept(engine) == [endpoint_id]
    assert swept(engine) == []
    rows(engine, "UPDATE webhook_endpoints SET woken_at = now() - interval '2 seconds'")
    assert swept(engine) == [endpoint_id]


def test_the_sweep_leaves_a_live_drainer_alone_and_replaces_a_dead_one(
    engine: Engine, connection: Connection, endpoint_id: str
) -> None:
    take(connection, endpoint_id, ONE)
    assert swept(engine) == []
    lease_runs_out(engine)
    assert swept(engine) == [endpoint_id]


def test_the_sweep_passes_over_what_waits_and_what_is_disabled(
    engine: Engine, endpoint_id: str
) -> None:
    rows(engine, "UPDATE deliveries SET next_attempt_at = now() + interval '1 minute'")
    assert swept(engine) == []
    all_is_due(engine)
    with Database(engine).transaction() as transaction:
        endpoints.disable(transaction, endpoint_id)
    assert swept(engine) == []


@pytest.mark.parametrize("waiting", [0, 5_000])  # when the plan is made, which is kept
@pytest.mark.parametrize("plan_mode", ["force_custom_plan", "force_generic_plan"])
def test_a_batch_reads_what_it_takes_however_much_is_finished_or_waits(
    engine: Engine, endpoint_id: str, plan_mode: str, waiting: int
) -> None:
    rows(engine, "UPDATE deliveries SET state = 'delivered', finished_at = now()")
    many_deliveries(engine, endpoint_id, "delivered", 20_000)
    vacuum(engine)  # what the planner knows is from before the outage
    many_deliveries(engine, endpoint_id, "pending", waiting)
    turn = NextBatch(
        endpoint_id,
        ONE,
        records=[a_record(n) for n in range(1, 33)],
        held=range(1, 65),
        wanted=64,
        wanted_replays=32,
        next_post_in_s=0.5,
    )
    parameters = {
        "limit": 1000,
        "lease_s": 10.0,
        "ids": [endpoint_id],
        "tokens": [ONE],
        "asked": drains._asked([turn]),
        "records": drains._records([turn]),
        "held": [64],
    }
    for statement in (
        drain_statements.DUE_ENDPOINTS,
        *drain_statements.NEXT_BATCHES.values(),
        drain_statements.ARE_DUE,
        leases._WITH_MORE_DUE,
    ):
        plan = plan_of(engine, statement, parameters, plan_mode)
        looks = _DUE.findall(plan)
        assert looks, plan
        for condition in looks:  # never all that waits at an endpoint
            assert "next_attempt_at" in condition, plan
        for greedy in ("Bitmap", "Seq Scan on deliveries", "Seq Scan on events"):
            assert greedy not in plan, plan


_DUE = re.compile(r"using deliveries_due_idx .*\n(.*)")


def vacuum(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def many_deliveries(engine: Engine, endpoint_id: str, state: str, number: int) -> None:
    rows(
        engine,
        "INSERT INTO events (id, type, object_id, sequence, body)"
        " SELECT 'evt_' || :state || n, 'charge.succeeded', 'ch_' || :state || n, 1, '{}'"
        " FROM generate_series(1, :number) n",
        state=state,
        number=number,
    )
    rows(
        engine,
        "INSERT INTO deliveries"
        " (event_id, endpoint_id, object_id, object_sequence, state, next_attempt_at, finished_at)"
        " SELECT id, :id, object_id, sequence, CAST(:state AS text), now(),"
        " CASE WHEN :state <> 'pending' THEN now() END FROM events"
        " WHERE id LIKE 'evt_' || :state || '%'",
        id=endpoint_id,
        state=state,
    )


def plan_of(
    engine: Engine, statement: TextClause, parameters: Mapping[str, Any], plan_mode: str
) -> str:
    """How PostgreSQL would run a prepared statement."""
    types = {
        "limit": "int",
        "lease_s": "float",
        "ids": "text[]",
        "tokens": "uuid[]",
        "held": "int[]",
    }
    names = [name for name in parameters if name in statement._bindparams]
    sql = statement.text
    for number, name in enumerate(names, start=1):
        sql = re.sub(rf"(?<!:):{name}\b", f"${number}", sql)
    literals = ", ".join(f"'{_literal(parameters[name])}'" for name in names)
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(f"SET LOCAL plan_cache_mode = {plan_mode}")
        run(f"PREPARE asked ({', '.join(types.get(name, 'text') for name in names)}) AS {sql}")
        plan = run(f"EXPLAIN EXECUTE asked ({literals})").scalars().all()
        run("DEALLOCATE asked")
    return "\n".join(plan)


def _literal(value: Any) -> str:
    return "{" + ", ".join(map(str, value)) + "}" if isinstance(value, list) else str(value)


def deliveries_only(engine: Engine) -> Any:
    return rows(engine, "SELECT * FROM deliveries ORDER BY id")
