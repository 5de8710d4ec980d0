"""Executors of a worker process, of its threads and of its loop: many at once, few connections,
a database that goes away."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from payments.transaction import wakes_nothing
from service.database.retrying import is_held_up, is_transient
from service.execution.executors import make_executor, make_loop_executor
from service.settings import Settings
from service.wiring import Services, services
from tests.support.factories import Till, a_charge, a_refund
from tests.support.loops import CalledFromThreads
from tests.support.threads import at_once
from tests.support.waiting import patience_s, slowness, wait_for

SLOTS = 64


@pytest.fixture
def make_services(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Services]]:
    made: list[Services] = []

    def make(**fields: object) -> Services:
        made.append(services(make_settings(**fields), wakes_nothing))
        return made[-1]

    yield make
    for each in made:
        each.stopping.set()
        each.engine.dispose()
        each.processors["sandbox"]._engine.dispose()  # type: ignore[attr-defined]


@pytest.fixture(params=["threads", "loop"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[Services], Any]]:
    """Makes an executor, to be called from threads."""
    made: list[CalledFromThreads] = []

    def make(ours: Services) -> Any:
        if request.param == "threads":
            return make_executor(ours)
        made.append(CalledFromThreads(make_loop_executor(ours)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_sixty_four_charges_wait_for_the_processor_at_once(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    ours = make_services(sandbox_latency_ms=2000)
    executor = make(ours)
    rows = at_once(SLOTS, lambda _: executor.create(a_charge()))
    assert {row.state for row in rows} == {"succeeded"}
    # The last was sent before the first was answered.
    (waited,) = Till(ours.engine).query(
        "SELECT max(started_at) < min(ended_at) AS together, count(*) AS n FROM attempts"
    )
    assert (waited["together"], waited["n"]) == (True, SLOTS)
    assert ours.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_threads_share_transactions(
    make_services: Callable[..., Services], make: Callable[[Services], Any]
) -> None:
    ours = make_services()
    executor = make(ours)
    with ThreadPoolExecutor(SLOTS) as threads:
        list(threads.map(executor.create, [a_charge() for _ in range(10 * SLOTS)]))
    # One moment of the database's clock is one transaction.
    (made,) = Till(ours.engine).query("SELECT count(DISTINCT first_called_at) n FROM charges")
    assert made["n"] < 10 * SLOTS / 4


def test_one_key_from_sixty_four_threads_is_one_movement_and_one_answer(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    ours = make_services(sandbox_latency_ms=100)
    executors = [make(ours) for _ in range(2)]
    request = a_charge()
    rows = at_once(SLOTS, lambda n: executors[n % 2].create(request))
    assert {row.id for row in rows} == {request.id}
    till = Till(ours.engine)
    assert till.stand(request.id) == "succeeded"
    (moved,) = till.query("SELECT count(*) n FROM sandbox_ledger")
    assert moved["n"] == 1


def test_partial_refunds_from_many_threads_never_exceed_the_charge(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    ours = make_services()
    executor, till = make(ours), Till(ours.engine)
    charge = a_charge(amount=1000)
    executor.create(charge)

    def refund(_: int) -> str:
        try:
            return str(executor.create(a_refund(charge, amount=300)).state)
        except Exception as refused:  # noqa: BLE001  # what it is, is asserted below
            return type(refused).__name__

    answers = sorted(at_once(10, refund))
    assert answers == ["RefundExceedsCharge"] * 7 + ["succeeded"] * 3
    assert till.row(charge.id)["refunded_amount"] == 900


def test_a_stopped_process_in_the_middle_of_a_transaction_holds_up_others_only_for_a_while(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    """The database ends a transaction that idles, and whoever waited for its locks goes on."""
    ours = make_services()
    executor, till = make(ours), Till(ours.engine)
    charge = a_charge(amount=1000)
    executor.create(charge)
    with till.engine.connect() as stopped, ThreadPoolExecutor(1) as threads:
        stopped.execute(text("SELECT * FROM charges FOR UPDATE"))
        stopped.execute(text("SET idle_in_transaction_session_timeout = 500"))
        waiting = threads.submit(executor.create, a_refund(charge, amount=1))
        assert waiting.result(patience_s()).state == "succeeded"
        stopped.invalidate()


def test_work_that_the_database_cut_off_is_done_again(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    """Every connection is killed, again and again, while charges are made."""
    ours = make_services(sandbox_latency_ms=5)
    executor = make(ours)
    requests = [a_charge() for _ in range(300)]
    done = threading.Event()
    witness = create_engine(ours.engine.url, poolclass=NullPool)  # whom nobody kills

    def kill() -> None:
        while not done.is_set():
            with witness.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'billing' AND datname = current_database()"
                    )
                )
            done.wait(0.2 * slowness())  # in between, something has to come to its end

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with ThreadPoolExecutor(16) as threads:
            rows = list(threads.map(executor.create, requests))
    finally:
        done.set()
        thread.join(patience_s())
    assert {row.state for row in rows} == {"succeeded"}
    # Not by an engine of ours: a killed session goes a moment later, and its pool doesn't know.
    till = Till(witness)
    (moved,) = till.query("SELECT count(*) n, count(DISTINCT object_id) d FROM sandbox_ledger")
    assert (moved["n"], moved["d"]) == (300, 300)
    for id_ in (r.id for r in requests[:50]):
        assert till.events(id_) == ["charge.succeeded"]


def test_a_process_that_was_stopped_in_the_middle_of_a_transaction_runs_it_again(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    ours = make_services()
    with ours.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(text("SET idle_in_transaction_session_timeout = 100"))
        others = Till(ours.engine)
        gone = "SELECT 1 FROM pg_stat_activity WHERE pid = cast(:pid AS int)"
        wait_for(lambda: not others.query(gone, pid=str(pid)), what="the session to be ended")
        with pytest.raises(DBAPIError) as ended:
            connection.execute(text("SELECT 1"))
        assert is_transient(ended.value)
        connection.invalidate()


def test_a_charge_that_somebody_holds_holds_up_nobody_else(
    make_services: Callable[..., Services],
    make: Callable[[Services], Any],
) -> None:
    """A person in psql who went to lunch in the middle of a transaction."""
    ours = make_services()
    executor = make(ours)
    held, other = a_charge(), a_charge()
    for request in (held, other):
        executor.create(request)
    lock = text("SELECT FROM charges WHERE id = :id FOR UPDATE")
    with create_engine(ours.settings.database_url).connect() as person:
        person.execute(lock, {"id": held.id})
        with ThreadPoolExecutor(SLOTS) as threads:
            stuck = threads.submit(executor.create, a_refund(held))
            fine = [threads.submit(executor.create, a_refund(other, amount=1)) for _ in range(20)]
            assert {each.result().state for each in fine} == {"succeeded"}
            with pytest.raises(DBAPIError) as refused:
                stuck.result()
    assert is_held_up(refused.value)
