"""Disputes, takings and the books at the console: what is shown, and to whom."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from local.embedded.throwaway import Servers
from service.wiring import open_database
from tests.conftest import environ_for
from tests.integration.rules.test_disputes import told
from tests.support import databases
from tests.support.acting import Database
from tests.support.console import Visitor, visitor
from tests.support.every import every
from tests.support.factories import SUCCEEDED, Till
from tests.support.ledger import an_hour_passes, begin_in_this_hour, seal_all
from tests.support.nursery import Nursery
from tests.support.web import Caller, Web, web


@pytest.fixture
def ann(door: Web) -> Iterator[Visitor]:
    """An operator at the console."""
    with visitor(door) as client:
        yield client


def paid(caller: Caller, till: Till, **fields: object) -> str:
    id_ = str(caller.charge(**fields).json()["charge_id"])
    till.settle(till.claim(id_), SUCCEEDED)
    return id_


def contested(caller: Caller, till: Till, **told_of: object) -> tuple[str, str]:
    """A charge of 19.99 USD that a bank contests, and the dispute."""
    id_ = paid(caller, till)
    till.report_all(told(id_, **told_of))
    (row,) = caller.get("/disputes", params={"charge_id": id_}).json()["data"]
    return id_, row["dispute_id"]


# --- Disputes


def test_a_dispute_is_told_in_the_story_of_its_payment(
    ann: Visitor, caller: Caller, till: Till
) -> None:
    due = datetime.now(UTC) + timedelta(days=5)
    charge_id, id_ = contested(caller, till, respond_by=due)
    assert id_ in ann.get(f"/disputes?state=needs_response&charge_id={charge_id}").text
    assert "There are none." in ann.get(f"/disputes?state=won&charge_id={charge_id}").text
    shown = ann.get(f"/disputes/{id_}").text
    assert "Dispute of 10.00 USD" in shown
    assert re.search(r"Answer it at sandbox.*5 days", shown)
    # The whole story: from the request, and what was told of the dispute.
    for text in (
        "attempt 1: charge → succeeded",
        "(fraudulent), now needs_response",
        "dispute.opened",
    ):
        assert text in shown, text
    # The charge's own page tells it, too, and leads there.
    of_charge = ann.get(f"/charges/{charge_id}").text
    assert f'href="/console/disputes/{id_}"' in of_charge
    assert ann.get(f"/search?q={id_}").headers["location"] == f"/console/disputes/{id_}"


def test_a_dispute_that_is_over_asks_for_nothing(ann: Visitor, caller: Caller, till: Till) -> None:
    _, id_ = contested(caller, till, state="lost")
    shown = ann.get(f"/disputes/{id_}").text
    assert "It is over" in shown
    assert "Answer it" not in shown


def test_disputes_of_others_are_not_there(
    door: Web, caller: Caller, till: Till, ann: Visitor
) -> None:
    charge_id, id_ = contested(caller, till)
    with visitor(door, scopes=["read", "write"]) as stranger:
        assert stranger.get(f"/disputes/{id_}").status_code == 404
        for path in ("/disputes", f"/disputes?charge_id={charge_id}"):
            assert id_ not in stranger.get(path).text
    with visitor(door, caller.producer, scopes=["read"]) as owner:
        assert owner.get(f"/disputes/{id_}").status_code == 200
    with visitor(door, caller.producer, scopes=["prices:read"]) as other:
        for path in ("/disputes", f"/disputes/{id_}", "/takings", "/books"):
            assert other.get(path).status_code == 403


# --- Takings and books


def test_takings_are_those_that_the_report_has_and_of_those_whom_the_key_sees(
    door: Web, caller: Caller, till: Till
) -> None:
    paid(caller, till, amount=123456)
    paid(caller, till, amount=700, currency="JPY")
    with door.caller() as other:
        paid(other, till, amount=777777)
    with visitor(door, caller.producer, scopes=["read"]) as owner:
        for path in ("/takings", "/takings?period=month"):
            shown = owner.get(path).text
            assert "1234.56 USD" in shown
            assert "700 JPY" in shown
            assert "7777.77" not in shown
        assert "Nothing was taken" in owner.get("/takings?money=real").text
        assert "Nothing was taken" in owner.get("/takings?to=2020-02-01").text


def test_older_takings_go_on_where_the_page_ends(ann: Visitor) -> None:
    for period, ends in (
        ("day", ["2026-03-03", "2026-02-24"]),
        ("month", ["2026-01-01", "2025-10-01"]),
    ):
        shown = ann.get(f"/takings?period={period}&to=2026-03-10").text
        for end in ends:
            assert f"from {end} until" in shown
            older = re.search(r'rel="next" href="([^"]+)"', shown)
            assert older
            shown = ann.get("/takings" + older[1].replace("&amp;", "&")).text


def test_books_are_of_those_whom_the_key_sees_and_come_to_zero(
    door: Web, caller: Caller, till: Till
) -> None:
    paid(caller, till, amount=123456)
    with door.caller() as other:
        paid(other, till, amount=777777)
    with visitor(door, caller.producer, scopes=["read"]) as owner:
        shown = owner.get("/books").text
    assert "1234.56 USD" in shown
    assert "-1234.56 USD" in shown
    assert "0.00 USD" in shown
    assert other.producer not in shown
    assert "7777.77" not in shown
    # The seals are of everybody's postings, and how many they are is nobody's business.
    assert "Seals" not in shown


@every(
    "path",
    ["/takings?period=year", "/takings?money=x", "/takings?to=x", "/takings?from=2020-01-01",
     "/takings?from=2026-11-02&to=2026-11-01", "/takings?to=0001-01-01", "/books?at=x",
     "/books?at=%00", "/books?money=x", "/books?seals=x", "/disputes?state=x",
     "/disputes?charge_id=x", "/disputes?cursor=x"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(ann: Visitor, path: str) -> None:
    answer = ann.get(path)
    assert answer.status_code == 400
    assert "That didn’t work" in answer.text


# --- Seals


@pytest.fixture
def sealed(servers: Servers, nursery: Nursery, tmp_path: object) -> Iterator[tuple[Web, Engine]]:
    """A console over a ledger of its own, with a closed hour."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        begin_in_this_hour(engine)
        till = Till(engine)
        till.charged(amount=1999)
        an_hour_passes(engine)
        assert seal_all(Database(engine))
        with web(nursery, environ_for(url, servers.redis.url, tmp_path), engine) as running:
            yield running, engine
        engine.dispose()


def test_seals_are_hashed_again_and_a_row_that_was_changed_is_found(
    sealed: tuple[Web, Engine],
) -> None:
    door, engine = sealed
    with visitor(door) as ann:
        shown = ann.get("/books").text
        assert '<span class="state kept">' in shown
        assert "1 of these seals: kept" in shown
        assert 'role="alert"' not in shown
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("UPDATE ledger_postings SET amount = amount + 1")
        shown = ann.get("/books").text
        assert '<span class="state broken">' in shown
        assert "1 of these seals BROKEN" in shown
        assert "what was sealed has been changed" in shown
