"""The door while something it needs is away: told quickly, nothing stuck, and well again."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, text

from local.embedded.throwaway import Servers
from payments.lifecycle.locks import hold_charges
from payments.transaction import Transaction
from tests.conftest import FAILED, environ_for, tell_the_last_of
from tests.support import databases
from tests.support.nursery import Nursery
from tests.support.waiting import patience_s, wait_for
from tests.support.web import Caller, Web, web


@pytest.fixture
def town(
    own_servers: Servers, nursery: Nursery, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Web]:
    """A door on servers that are this test's alone."""
    with databases.fresh(own_servers.postgres) as url:
        engine = create_engine(url, pool_pre_ping=True)
        with web(nursery, environ_for(url, own_servers.redis.url, tmp_path), engine) as running:
            yield running
            if request.node.stash.get(FAILED, False):
                tell_the_last_of([running.program])
        engine.dispose()


@pytest.fixture
def caller(town: Web) -> Iterator[Caller]:
    with town.caller() as client:
        yield client


def is_unavailable(answer: object) -> bool:
    problem = answer.json()  # type: ignore[attr-defined]
    assert answer.status_code == 503, answer.text  # type: ignore[attr-defined]
    assert problem["code"] == "database_unavailable"
    assert answer.headers["retry-after"] == "1"  # type: ignore[attr-defined]
    return True


def refused_all_the_while(caller: Caller) -> None:
    """Both kinds of requests are told, many at once, and the process stays as small as it was.

    The server gives up by itself, DEADLINE_S of api/database.py; the client is more patient.
    """
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(caller.charge, f"while-{n}") for n in range(20)]
        asked += [threads.submit(caller.get, "/charges") for _ in range(20)]
        assert all(is_unavailable(one.result(patience_s())) for one in asked)


def test_a_database_that_is_down_is_told_and_found_again(
    town: Web, caller: Caller, own_servers: Servers
) -> None:
    first = caller.charge("order-1")
    assert first.status_code == 202
    pid, threads_before = town.program.pid, psutil.Process(town.program.pid).num_threads()
    own_servers.postgres.crash()
    refused_all_the_while(caller)
    ready = caller.get(f"{town.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]["database"]["ok"]) == (503, False)
    assert caller.get(f"{town.url}/healthz").status_code == 200
    own_servers.postgres.start()
    wait_for(lambda: caller.get("/charges").status_code == 200, what="the database again")
    again = caller.charge("order-1")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert (town.program.alive, town.program.pid) == (True, pid)
    # One for the broker's wake-ups, one that looks at the workers for /readyz.
    assert psutil.Process(pid).num_threads() <= threads_before + 2


def test_a_short_restart_of_the_database_is_not_even_noticed(
    town: Web, caller: Caller, own_servers: Servers
) -> None:
    for n in range(4):
        caller.charge(f"before-{n}")
    own_servers.postgres.stop()
    own_servers.postgres.start()
    # Every connection of the pool is broken, and the first request finds out.
    assert caller.charge("order-1").status_code == 202


def test_a_database_that_hangs_holds_up_nobody_for_long(
    town: Web, caller: Caller, own_servers: Servers
) -> None:
    assert caller.charge("order-1").status_code == 202
    family = stopped(own_servers)
    try:
        refused_all_the_while(caller)
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
    wait_for(lambda: caller.get("/charges").status_code == 200, what="the database again")
    assert caller.charge("order-1").headers["idempotent-replayed"] == "true"


def stopped(servers: Servers) -> list[psutil.Process]:
    """PostgreSQL and its children, each of which now answers nothing."""
    postmaster = psutil.Process(servers.postgres.pid)
    family = [postmaster, *postmaster.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # a child that had done its work
            process.send_signal(signal.SIGSTOP)
    return family


def test_with_the_broker_down_requests_are_accepted_all_the_same(
    town: Web, caller: Caller, own_servers: Servers
) -> None:
    own_servers.redis.crash()
    answers = [caller.charge(f"order-{n}") for n in range(5)]
    assert {answer.status_code for answer in answers} == {202}
    ready = caller.get(f"{town.url}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["broker"]["ok"] is False
    troubled = {reason.partition(":")[0] for reason in ready.json()["reasons"]}
    assert troubled == {"broker", "worker", "sweeps"}  # no beat runs here, either


def test_a_row_that_somebody_holds_fails_only_those_who_want_it(town: Web, caller: Caller) -> None:
    charges = [caller.charge().json()["charge_id"] for _ in range(20)]
    held = charges[10]
    with town.engine.connect() as person:
        hold_charges(Transaction(person), ids=[held])
        with ThreadPoolExecutor(20) as threads:
            answers = dict(zip(charges, threads.map(caller.refund, charges), strict=True))
        refused = answers.pop(held)
        assert (refused.status_code, refused.json()["code"]) == (503, "temporarily_held")
        assert refused.headers["retry-after"] == "1"
        assert {answer.status_code for answer in answers.values()} == {202}
        person.rollback()
    assert caller.refund(held).status_code == 202


def test_a_database_that_goes_away_during_the_wait_does_not_unmake_a_charge(
    town: Web, caller: Caller, own_servers: Servers
) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(caller.charge, "order-1", {"prefer": "wait=4"})
        wait_for(lambda: charges_there(town) == 1, what="the charge")
        own_servers.postgres.crash()
        answer = asked.result(patience_s())
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")


def charges_there(town: Web) -> int:
    with town.engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM charges")).scalar_one())


def test_a_stop_answers_those_who_wait_and_loses_nothing(town: Web, caller: Caller) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(caller.charge, "order-1", {"prefer": "wait=30"})
        wait_for(lambda: charges_there(town) == 1, what="the charge")
        town.program.signal(signal.SIGTERM)
        answer = asked.result(patience_s())
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    wait_for(lambda: not town.program.alive, what="the process to end")
    assert town.program.child.poll() == 0
    assert "Traceback" not in town.program.output


def test_a_port_that_is_taken_ends_it_with_the_setting_to_look_at(
    town: Web, nursery: Nursery, own_servers: Servers, tmp_path: Path
) -> None:
    port = str(httpx.URL(town.url).port)
    url = town.engine.url.render_as_string(hide_password=False)
    environ = environ_for(url, own_servers.redis.url, tmp_path)
    second = nursery.run("web", "api", [], {**environ, "BILLING_HTTP_PORT": port})
    try:
        assert second.end_of_itself() == 1
        assert "address already in use" in second.output
        assert "see BILLING_HTTP_HOST and BILLING_HTTP_PORT" in second.output
    finally:
        second.end()
