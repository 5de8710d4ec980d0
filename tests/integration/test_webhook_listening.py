"""Drainers that linger, and are told in the database what became due."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from payments.transaction import Wakes
from payments.webhooks import delivery_loop
from payments.webhooks.delivery_loop import Deliverer
from payments.webhooks.draining import drains, listening
from payments.webhooks.draining.recording import Recorder
from payments.webhooks.outbox import publish
from service.broker.direct_calls import DirectCalls
from tests.support.acting import Database
from tests.support.sink import Answer, Sink
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import (
    a_deliverer,
    a_fact,
    an_endpoint,
    deliveries,
    events_happen,
    lease_runs_out,
    rows,
)

LONG_S = 600.0


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a drainer isn't told, it never finds."""
    monkeypatch.setattr(delivery_loop, "LOOK_EVERY_S", LONG_S)
    monkeypatch.setattr(delivery_loop.drains, "LEASE_S", 4 * LONG_S)


@pytest.fixture
def deliverer(engine: Engine) -> Iterator[Deliverer]:
    with a_deliverer(engine, linger_s=LONG_S) as running:
        listens(running)
        yield running


def called(engine: Engine, number: int = 1) -> set[str]:
    """Whom a message must call when so many events were committed."""
    messages: list[Wakes] = []
    wake = DirectCalls(lambda: engine, messages.append)
    with Database(engine, wake).transaction() as transaction:
        publish(transaction, [a_fact() for _ in range(number)])
    return {id_ for wakes in messages for id_ in wakes.endpoints}


def lingers(engine: Engine, deliverer: Deliverer, endpoint_id: str) -> None:
    """Deliver something, and stay."""
    before = delivered(engine)
    events_happen(engine)
    deliverer.hand_over([endpoint_id]).result(patience_s())
    are_delivered(engine, before + 1)


def listens(deliverer: Deliverer, does: bool = True) -> None:
    wait_for(lambda: deliverer._listener.is_listening is does, what="the connection that listens")


def are_delivered(engine: Engine, number: int) -> None:
    wait_for(lambda: delivered(engine) == number, what=f"{number} deliveries")


def delivered(engine: Engine) -> int:
    return sum(one["state"] == "delivered" for one in deliveries(engine))


def its_row(engine: Engine) -> dict[str, Any]:
    (row,) = rows(engine, "SELECT * FROM webhook_endpoints")
    return dict(row)


def test_a_drainer_that_is_there_hears_of_a_commit_without_a_message(
    engine: Engine, sink: Sink, deliverer: Deliverer
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, endpoint.id)
    token = its_row(engine)["drain_token"]
    for number in range(2, 5):
        assert called(engine) == set()
        are_delivered(engine, number)
    assert its_row(engine)["drain_token"] == token  # one lease for all
    assert len(sink.requests) == 4


def test_who_has_no_drainer_is_called_by_a_message(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    assert called(engine, 2) == {endpoint.id}


def test_a_drainer_that_does_not_listen_is_called_by_a_message(engine: Engine, sink: Sink) -> None:
    """As one of a version that knows nothing of it, or behind a pooler."""
    endpoint = an_endpoint(engine, sink.url)
    statement = (
        "UPDATE webhook_endpoints SET drain_token = gen_random_uuid(), drain_is_listening = %s,"
        " drain_expires_at = now() + interval '%s seconds'"
    )
    for is_listening, seconds, is_called in (
        ("false", 600, True),
        ("true", 600, False),
        ("true", -1, True),  # it died
    ):
        rows(engine, statement % (is_listening, seconds))
        assert called(engine) == ({endpoint.id} if is_called else set())


def test_however_many_events_were_committed_it_is_told_once(
    engine: Engine, sink: Sink, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=64)
    lingers(engine, deliverer, endpoint.id)
    heard: list[str] = []
    hear = deliverer._hear
    monkeypatch.setattr(deliverer._listener, "_on_due", lambda id_: (heard.append(id_), hear(id_)))
    assert called(engine, 30) == set()
    are_delivered(engine, 31)
    assert heard == [endpoint.id]


def test_what_becomes_due_while_it_posts_is_posted_beside_it(
    engine: Engine, sink: Sink, deliverer: Deliverer
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, endpoint.id)
    arrived, go_on = threading.Event(), threading.Event()

    def first_waits(_: Any) -> Answer:
        if not arrived.is_set():
            arrived.set()
            go_on.wait(patience_s())
        return Answer(200)

    sink.answer = first_waits
    assert called(engine) == set()
    assert arrived.wait(patience_s())
    assert called(engine) == set()
    wait_for(lambda: len(sink.requests) == 3, what="the webhook behind the slow one")
    go_on.set()
    are_delivered(engine, 3)


def test_who_is_called_for_the_drainer_of_another_process_passes_it_on(
    engine: Engine, sink: Sink, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where something is sent again by hand, or by a version that knows of messages only."""
    endpoint = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, endpoint.id)
    passed_on: list[str] = []
    pass_on = Recorder.pass_on

    async def slowly(recorder: Recorder) -> None:
        passed_on.append(endpoint.id)
        heard = threading.Event()
        monkeypatch.setattr(other._listener, "_on_due", lambda id_: (other._hear(id_), heard.set()))
        await pass_on(recorder)
        await asyncio.to_thread(heard.wait, patience_s())

    monkeypatch.setattr(Recorder, "pass_on", slowly)
    events_happen(engine)
    with a_deliverer(engine, linger_s=LONG_S) as other:
        listens(other)
        assert other.drain(endpoint.id).delivered == 0
        are_delivered(engine, 2)
    assert passed_on == [endpoint.id]  # once, though it hears itself


@pytest.mark.parametrize("plan", ["force_generic_plan", "force_custom_plan"])
def test_only_who_has_something_due_is_told(engine: Engine, sink: Sink, plan: str) -> None:
    """However the database goes through the endpoints."""
    ids = [an_endpoint(engine, sink.url).id for _ in range(30)]
    rows(
        engine,
        "UPDATE webhook_endpoints SET drain_token = gen_random_uuid(), drain_is_listening = true,"
        " drain_expires_at = now() + interval '1 hour'",
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.prepare_threshold = 0
        for setting in (f"plan_cache_mode = {plan}", "enable_indexscan = off"):
            driver.execute(f"SET {setting}")
        driver.execute("SET enable_bitmapscan = off")
        driver.execute(f"LISTEN {listening.CHANNEL}")
        assert listening.tell(connection, ids[3:5]) == set()
        assert sorted(told.payload for told in driver.notifies(timeout=0)) == sorted(ids[3:5])
        connection.invalidate()


def test_a_database_that_is_away_is_no_end_of_the_calls(engine: Engine, sink: Sink) -> None:
    messages: list[Wakes] = []

    def away() -> Engine:
        raise OSError("too many open files")

    wake = DirectCalls(away, messages.append)
    wake(Wakes(endpoints={"we_1"}, charges={"ch_1"}))
    wake(Wakes(endpoints={"we_2"}))
    wake(Wakes())
    assert messages == [
        Wakes(charges={"ch_1"}),
        Wakes(endpoints={"we_1"}),
        Wakes(endpoints={"we_2"}),
    ]


LINGERS = """
import sys, time
from sqlalchemy import create_engine
from tests.support.webhooks import a_deliverer

with a_deliverer(create_engine(sys.argv[1]), linger_s=600.0) as deliverer:
    while not deliverer._listener.is_listening:
        time.sleep(0.01)
    deliverer.drain(sys.argv[2])
"""


def test_who_is_killed_while_it_lingers_is_followed_by_another(
    engine: Engine, sink: Sink, database_url: str
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    lingering = subprocess.Popen([sys.executable, "-c", LINGERS, database_url, endpoint.id])
    try:
        wait_for(lambda: its_row(engine)["drain_is_listening"], what="a drainer that listens")
        are_delivered(engine, 1)
    finally:
        lingering.kill()
        lingering.wait()
    assert called(engine) == set()  # told to nobody, and in vain
    with engine.begin() as connection:
        assert drains.due_endpoints(connection) == []  # as long as it has the lease
    lease_runs_out(engine)
    with engine.begin() as connection:
        assert drains.due_endpoints(connection) == [endpoint.id]
    with a_deliverer(engine) as other:
        assert other.drain(endpoint.id).delivered == 1
    assert len(sink.requests) == 2


def test_a_drain_that_is_over_lingers_no_more(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine, linger_s=LONG_S, drain_s=patience_s() / 60) as deliverer:
        listens(deliverer)
        lingers(engine, deliverer, endpoint.id)
        is_given_back(engine)


def is_given_back(engine: Engine) -> None:
    wait_for(lambda: its_row(engine)["drain_token"] is None, what="the lease to be given back")


def test_a_process_that_stops_gives_the_lease_of_who_lingers_back(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine, linger_s=LONG_S) as deliverer:
        listens(deliverer)
        lingers(engine, deliverer, endpoint.id)
        assert its_row(engine)["drain_is_listening"]
    row = its_row(engine)
    assert (row["drain_token"], row["drain_expires_at"]) == (None, None)
    assert not row["drain_is_listening"]
    assert called(engine) == {endpoint.id}


def test_who_is_told_nothing_for_long_enough_gives_the_lease_back(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine, linger_s=0.05) as deliverer:
        listens(deliverer)
        lingers(engine, deliverer, endpoint.id)
        is_given_back(engine)
        assert called(engine) == {endpoint.id}


def test_without_a_connection_that_listens_nobody_lingers(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    monkeypatch.setattr(listening.Listener, "run", nothing)
    with a_deliverer(engine, linger_s=LONG_S) as deliverer:
        events_happen(engine)
        assert deliverer.drain(endpoint.id).delivered == 1
        assert called(engine) == {endpoint.id}


async def nothing(_: object) -> None:
    """Nobody listens."""


def test_only_so_many_linger(
    engine: Engine, sink: Sink, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_loop, "LINGERING_MAX", 1)
    first = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, first.id)
    second = an_endpoint(engine, sink.url)
    assert called(engine) == {second.id}
    assert deliverer.drain(second.id).delivered == 1  # and ends
    are_delivered(engine, 3)


@pytest.mark.parametrize("status", [500, 400])
def test_an_endpoint_that_fails_is_not_lingered_at(
    engine: Engine, sink: Sink, deliverer: Deliverer, status: int
) -> None:
    sink.answer = Answer(status)
    endpoint = an_endpoint(engine, sink.url)
    events_happen(engine)
    assert deliverer.drain(endpoint.id).retried == 1  # and ends


def test_an_endpoint_that_is_disabled_meanwhile_is_not_lingered_at(
    engine: Engine, sink: Sink, deliverer: Deliverer
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, endpoint.id)
    rows(engine, "UPDATE webhook_endpoints SET state = 'disabled'")
    events_happen(engine)
    deliverer.hand_over([endpoint.id]).result(patience_s())
    is_given_back(engine)


def test_a_lease_that_was_lost_while_lingering_is_nobodys_business_any_more(
    engine: Engine, sink: Sink, deliverer: Deliverer
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    lingers(engine, deliverer, endpoint.id)
    rows(engine, "UPDATE webhook_endpoints SET drain_token = gen_random_uuid()")
    assert called(engine) == set()  # told, to no avail
    wait_for(lambda: endpoint.id not in deliverer._drainers, what="the drain to end")
    assert delivered(engine) == 1
    rows(engine, "UPDATE webhook_endpoints SET drain_expires_at = now() - interval '1 second'")
    assert called(engine) == {endpoint.id}
    deliverer.hand_over([endpoint.id]).result(patience_s())
    are_delivered(engine, 3)


def test_a_connection_that_is_cut_is_made_again(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    connect = listening.Listener._connect

    def noted(listener: listening.Listener) -> Any:
        opened.append(connect(listener))
        return opened[-1]

    monkeypatch.setattr(listening.Listener, "_connect", noted)
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine, linger_s=LONG_S) as deliverer:
        listens(deliverer)
        lingers(engine, deliverer, endpoint.id)
        pid = opened[0].info.backend_pid
        rows(engine, "SELECT pg_terminate_backend(:pid)", pid=pid)
        wait_for(lambda: len(opened) == 2, what="another connection")
        listens(deliverer)
        assert called(engine) == set()
        are_delivered(engine, 2)
    wait_for(lambda: all(driver.closed for driver in opened), what="all to be closed")


def test_where_no_connection_is_to_be_had_it_is_tried_again(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "AGAIN_S", 0.01)
    connect, tries = listening.Listener._connect, iter(range(3))

    def away_at_first(listener: listening.Listener) -> Any:
        if next(tries, None) is not None:
            raise psycopg.OperationalError("connection refused")
        return connect(listener)

    monkeypatch.setattr(listening.Listener, "_connect", away_at_first)
    with a_deliverer(engine, linger_s=LONG_S) as deliverer:
        listens(deliverer)


@pytest.mark.parametrize("fault", ["silent", "demoted"])
def test_a_connection_that_leads_nowhere_is_seen_to_and_made_again(
    engine: Engine, sink: Sink, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(listening, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(listening, "AGAIN_S", 0.05)
    opened: list[Any] = []
    connect = listening.Listener._connect

    def faulty_at_first(listener: listening.Listener) -> Any:
        driver: Any = connect(listener)
        opened.append(driver)
        if len(opened) == 1 and fault == "silent":
            driver.execute = silent
        elif len(opened) == 1:
            driver.execute("SET default_transaction_read_only = on")
        return driver

    monkeypatch.setattr(listening.Listener, "_connect", faulty_at_first)
    endpoint = an_endpoint(engine, sink.url)
    with a_deliverer(engine, linger_s=LONG_S) as deliverer:
        wait_for(lambda: len(opened) == 2, what="another connection")
        listens(deliverer)
        # And what is said while a check is under way is heard, too.
        lingers(engine, deliverer, endpoint.id)
        for number in range(2, 30):
            assert called(engine) == set()
            are_delivered(engine, number)
    assert len(opened) == 2


def silent(_: str) -> None:
    raise psycopg.OperationalError("no answer within 5 s")


def test_a_connection_that_comes_when_nobody_wants_it_any_more_is_closed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    connect, is_asked, go_on = listening.Listener._connect, threading.Event(), threading.Event()

    def slowly(listener: listening.Listener) -> Any:
        is_asked.set()
        assert go_on.wait(patience_s())
        opened.append(connect(listener))
        return opened[-1]

    monkeypatch.setattr(listening.Listener, "_connect", slowly)
    with a_deliverer(engine, linger_s=LONG_S):
        assert is_asked.wait(patience_s())
    go_on.set()
    wait_for(lambda: opened and opened[0].closed, what="it to be closed")
