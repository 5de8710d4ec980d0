"""An inbox handles each event once, in order, and misses none: the same over every store."""

import json
import os
import shelve
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import NullPool, create_engine

from infra import billing
from infra.billing.contract.event_types import EVENTS
from infra.billing.contract.ids import event_id
from infra.billing.contract.objects import BY_NAME, Event
from infra.billing.receiving.inbox import object_id_of
from tests.support import children
from tests.support.every import every
from tests.support.programs import ROOT
from tests.support.waiting import wait_for

SECRET = "whsec_" + "A" * 32
NOW = 1_800_000_000


@pytest.fixture
def inbox() -> billing.webhook.Inbox:
    return billing.webhook.Inbox(SECRET)


def _django(path: Path) -> Any:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure()
        django.setup()
    from django.db import connections
    from django.db.backends.sqlite3.base import DatabaseWrapper

    return DatabaseWrapper({**connections["default"].settings_dict, "NAME": str(path)}, "inbox")


# Each makes a store of a folder, and perhaps of the URL of an empty PostgreSQL.
STORES: dict[str, Callable[[Path, str], Any]] = {
    "dict": lambda *_: {},
    "shelve": lambda folder, _: shelve.open(  # noqa: S301, SIM115  # it is ours; the fixture closes it
        str(folder / "shelf")
    ),
    "sqlite3": lambda folder, _: sqlite3.connect(folder / "books"),
    "sqlite3, no isolation": lambda folder, _: sqlite3.connect(
        folder / "books", isolation_level=None
    ),
    "Django": lambda folder, _: _django(folder / "books"),
    "psycopg": lambda _, url: psycopg.connect(url),
    "psycopg, autocommit": lambda _, url: psycopg.connect(
        url, autocommit=True, row_factory=dict_row
    ),
    "SQLAlchemy": lambda _, url: (
        create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
        .connect()
        .connection
    ),
}
SQL = [name for name in STORES if name not in ("dict", "shelve")]
# Those that commit each statement by itself, unless a transaction is begun.
BY_THEMSELVES = ["sqlite3, no isolation", "Django", "psycopg, autocommit"]


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("empty_database_url")
    return url.replace("postgresql+psycopg:", "postgresql:")


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, inbox: billing.webhook.Inbox, tmp_path: Path
) -> Iterator[Any]:
    made = _made(str(request.param), request, tmp_path)
    inbox.set_up(made)
    inbox.set_up(made)  # as each start of a receiver does
    yield made
    if hasattr(made, "close"):
        made.close()


def _made(name: str, request: pytest.FixtureRequest, folder: Path) -> Any:
    needs_postgres = name.startswith(("psycopg", "SQLAlchemy"))
    url = request.getfixturevalue("postgres_url") if needs_postgres else ""
    return STORES[name](folder, url)


def a_webhook(
    object_id: str = "ch_1",
    sequence: int = 1,
    *,
    number: int | None = None,
    type_: str = "charge.succeeded",
    at: int = NOW,
) -> tuple[bytes, dict[str, str]]:
    data = {"object": "charge", "charge_id": object_id}
    told = {"type": type_, "timestamp": "2026-11-29T10:00:00Z", "sequence": sequence, "data": data}
    body = json.dumps(told).encode()
    headers = billing.webhook.sign(
        body, SECRET, webhook_id=event_id(object_id, sequence), timestamp=at
    )
    return body, {**headers, **({} if number is None else {"webhook-sequence": str(number)})}


class Shop:
    """What a receiver does with events: it notes which it handled, in its own books."""

    def __init__(self, inbox: billing.webhook.Inbox, store: Any) -> None:
        self.inbox, self.store = inbox, store
        self.done: list[tuple[str, int]] = []
        self.late: list[tuple[str, int]] = []

    def comes(self, *told: Any, at: int = NOW, **facts: Any) -> billing.webhook.Receipt:
        body, headers = a_webhook(*told, at=at, **facts)
        return self.inbox.handle(body, headers, self.store, self.work, late=self.note, now=at)

    def work(self, event: Event, store: Any) -> None:
        assert store is self.store
        self.done.append((event.data.charge_id, event.sequence))

    def note(self, event: Event, store: Any) -> None:
        self.late.append((event.data.charge_id, event.sequence))


@pytest.fixture
def shop(inbox: billing.webhook.Inbox, store: Any) -> Shop:
    return Shop(inbox, store)


# --- once, and in order


def test_an_event_is_handled_once_however_often_it_comes(shop: Shop) -> None:
    verdicts = [shop.comes("ch_1", 1).verdict for _ in range(3)]
    assert verdicts == ["new", "repeat", "repeat"]
    assert shop.done == [("ch_1", 1)]


def test_an_older_event_of_an_object_is_late_and_those_of_others_are_not(shop: Shop) -> None:
    came = [("ch_1", 2), ("ch_1", 1), ("ch_2", 1), ("ch_1", 3), ("ch_1", 1)]
    verdicts = [shop.comes(*one).verdict for one in came]
    assert verdicts == ["new", "overtaken", "new", "new", "repeat"]
    assert shop.done == [("ch_1", 2), ("ch_2", 1), ("ch_1", 3)]
    assert shop.late == [("ch_1", 1)]


def test_what_fails_leaves_nothing_and_is_handled_when_it_comes_again(shop: Shop) -> None:
    body, headers = a_webhook("ch_1", 2, number=7)

    def fail(*_: object) -> None:
        raise LookupError("no such order")

    for _ in range(2):
        with pytest.raises(LookupError):
            shop.inbox.handle(body, headers, shop.store, fail, now=NOW)
    assert shop.comes("ch_1", 1, number=6).missing == range(0)
    assert shop.comes("ch_1", 2, number=7).is_new
    assert shop.done == [("ch_1", 1), ("ch_1", 2)]


def test_what_is_not_signed_is_refused_and_leaves_nothing(shop: Shop) -> None:
    body, headers = a_webhook()
    with pytest.raises(billing.InvalidSignature):
        shop.inbox.handle(body + b" ", headers, shop.store, shop.work, now=NOW)
    with pytest.raises(billing.InvalidSignature):
        shop.inbox.handle(body, headers, shop.store, shop.work, now=NOW + 301)
    assert shop.done == []
    assert shop.comes().is_new


# --- whether something is missing


def test_what_came_too_late_is_missing_until_it_comes(shop: Shop) -> None:
    shop.comes("ch_1", 1, number=41)  # what was before is not known to have been
    assert shop.comes("ch_2", 1, number=44).missing == range(42, 44)
    assert shop.inbox.missing(shop.store, now=NOW + 59) == []
    assert shop.inbox.missing(shop.store, now=NOW + 60) == [range(42, 44)]
    shop.comes("ch_3", 1, number=43)
    assert shop.inbox.missing(shop.store, now=NOW + 60) == [range(42, 43)]
    shop.comes("ch_4", 1, number=42)
    assert shop.inbox.missing(shop.store, now=NOW + 60) == []


@every("number", ["", "-1", "x", "1.5", "9" * 19, "٣"])
def test_a_number_that_is_none_changes_nothing(number: str) -> None:
    body, headers = a_webhook()
    books: dict[str, Any] = {}
    inbox = billing.webhook.Inbox(SECRET)
    headers["Webhook-Sequence"] = number
    receipt = inbox.handle(body, headers, books, lambda *_: None, now=NOW)
    assert (receipt.verdict, receipt.number) == ("new", None)


def the_feed(*told: tuple[str, int], of: str = "charge.succeeded") -> Callable[[int], list[Event]]:
    """A feed of these events at the positions 1, 2, …"""
    events = [
        Event(
            {
                **json.loads(a_webhook(*one, type_=of)[0]),
                "id": event_id(*one),
                "position": position,
                "data": billing.Charge({"object": "charge", "charge_id": one[0]}),
            }
        )
        for position, one in enumerate(told, 1)
    ]
    return lambda after: events[after:]


def caught_up(shop: Shop, feed: Callable[[int], list[Event]], **rules: Any) -> int:
    return shop.inbox.catch_up(shop.store, shop.work, late=shop.note, events=feed, **rules)


def test_what_was_missed_is_read_in_the_feed_once_and_not_what_was_before(shop: Shop) -> None:
    shop.comes("ch_2", 1, number=8)
    shop.comes("ch_5", 1, number=11)
    feed = the_feed(("ch_1", 1), ("ch_2", 1), ("ch_3", 1), ("ch_4", 1), ("ch_5", 1), ("ch_6", 1))
    assert caught_up(shop, feed, now=NOW + 60) == 3
    assert [id_ for id_, _ in shop.done] == ["ch_2", "ch_5", "ch_3", "ch_4", "ch_6"]
    assert shop.inbox.missing(shop.store, now=NOW + 60) == []
    assert caught_up(shop, feed, now=NOW + 60) == 0
    # What comes after all is no news, and the numbers go on from where they were.
    assert shop.comes("ch_3", 1, number=9).verdict == "repeat"
    assert shop.comes("ch_7", 1, number=13).missing == range(12, 13)


def test_a_webhook_that_was_read_in_the_feed_first_is_not_missing_afterwards(shop: Shop) -> None:
    shop.comes("ch_1", 1, number=1)
    assert caught_up(shop, the_feed(("ch_1", 1), ("ch_2", 1)), now=NOW) == 1
    assert shop.comes("ch_3", 1, number=3, at=NOW + 1).missing == range(2, 3)
    assert shop.comes("ch_2", 1, number=2, at=NOW + 2).verdict == "repeat"
    assert shop.inbox.missing(shop.store, now=NOW + 100) == []


def test_catching_up_begins_where_it_is_told_and_passes_over_other_types(
    shop: Shop,
) -> None:
    shop.inbox.set_up(shop.store, position=1)
    shop.inbox.set_up(shop.store, position=0)  # it has begun: that counts
    pending = the_feed(("ch_1", 1), ("ch_2", 1), of="charge.pending")
    assert caught_up(shop, pending) == 0
    shop.inbox = billing.webhook.Inbox(SECRET)
    feed = the_feed(("ch_1", 1), ("ch_2", 1), ("ch_3", 1), of="charge.pending")
    assert caught_up(shop, feed, event_types=["charge.pending"]) == 1
    assert shop.done == [("ch_3", 1)]


def test_whoever_missed_what_has_left_the_feed_goes_on_where_that_begins(shop: Shop) -> None:
    shop.inbox.set_up(shop.store, position=1)
    feed = the_feed(("ch_1", 1), ("ch_2", 1), ("ch_3", 1), ("ch_4", 1))

    def of_which_three_have_left(after: int) -> list[Event]:
        if after < 3:
            raise billing.EventsGone(facts={"kept_after": 3})
        return feed(after)

    for _ in range(2):
        with pytest.raises(billing.EventsGone) as error:
            caught_up(shop, of_which_three_have_left)
    shop.inbox.go_on(shop.store, position=error.value.facts["kept_after"])
    shop.inbox.go_on(shop.store, position=2)  # never back
    assert caught_up(shop, of_which_three_have_left) == 1
    assert shop.done == [("ch_4", 1)]
    with pytest.raises(billing.InvalidRequest, match="position must be"):
        shop.inbox.go_on(shop.store, position=-1)


def test_work_that_fails_while_catching_up_is_where_it_goes_on(shop: Shop) -> None:
    shop.inbox.set_up(shop.store, position=0)
    feed = the_feed(("ch_1", 1), ("ch_2", 1), ("ch_3", 1))

    def fail_at_the_second(event: Event, store: Any) -> None:
        if event.data.charge_id == "ch_2":
            raise LookupError
        shop.work(event, store)

    with pytest.raises(LookupError):
        shop.inbox.catch_up(shop.store, fail_at_the_second, events=feed)
    assert caught_up(shop, feed) == 2
    assert [id_ for id_, _ in shop.done] == ["ch_1", "ch_2", "ch_3"]


def test_old_events_are_forgotten_and_so_is_what_was_missing_among_them(shop: Shop) -> None:
    shop.comes("ch_1", 1, number=1)
    shop.comes("ch_2", 1, number=3, at=NOW + 10)
    shop.comes("ch_3", 1, number=4, at=NOW + 20)
    assert shop.inbox.forget(shop.store, older_than_s=5, now=NOW + 20) == 2
    assert shop.inbox.missing(shop.store, now=NOW + 1000) == []
    assert shop.comes("ch_3", 1, number=4, at=NOW + 20).verdict == "repeat"
    assert shop.comes("ch_2", 1, number=3, at=NOW + 20).verdict == "new"


# --- transactions


@pytest.mark.parametrize("store", SQL, indirect=True)
def test_a_receipt_belongs_to_the_transaction_of_the_receiver(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    body, headers = a_webhook()
    if request.node.callspec.params["store"] in BY_THEMSELVES:
        with pytest.raises(billing.InvalidRequest, match="begin a transaction first"):
            shop.inbox.receive(body, headers, shop.store, now=NOW)
        _begin(shop.store)
    assert shop.inbox.receive(body, headers, shop.store, now=NOW).is_new
    _roll_back(shop.store)
    assert shop.comes().is_new


def _begin(store: Any) -> None:
    if hasattr(store, "in_atomic_block"):  # Django
        store.set_autocommit(False)
    else:
        store.cursor().execute("BEGIN")


def _roll_back(store: Any) -> None:
    store.rollback()
    if hasattr(store, "in_atomic_block"):
        store.set_autocommit(True)


def test_within_atomic_of_django_the_transaction_is_not_ended(tmp_path: Path) -> None:
    body, headers = a_webhook()
    inbox, store = billing.webhook.Inbox(SECRET), _django(tmp_path / "books")
    inbox.set_up(store)
    store.in_atomic_block = True  # as atomic() leaves it
    with pytest.raises(billing.InvalidRequest, match="call receive"):
        inbox.handle(body, headers, store, lambda *_: None, now=NOW)
    store.in_atomic_block = False
    store.close()


def test_a_mapping_must_let_the_inbox_do_the_work() -> None:
    body, headers = a_webhook()
    with pytest.raises(billing.InvalidRequest, match="handle"):
        billing.webhook.Inbox(SECRET).receive(body, headers, {}, now=NOW)


@every("store", [None, "books.sqlite", object()])
def test_what_is_no_store_is_named(store: Any) -> None:
    with pytest.raises(billing.InvalidRequest, match="DB-API") as refused:
        billing.webhook.Inbox(SECRET).set_up(store)
    assert refused.value.param == "store"


@every("tables", ["", "1", "inbox; DROP TABLE orders", "a.b.c", "Inbox"])
def test_a_table_has_a_plain_name(tables: str) -> None:
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.webhook.Inbox(SECRET, tables=tables).set_up(sqlite3.connect(":memory:"))
    assert refused.value.param == "tables"


@every("name", sorted({event.data for event in EVENTS.values()}))
def test_of_every_object_that_events_tell_of_the_id_is_known(name: str) -> None:
    own = f"{name}_id" if f"{name}_id" in BY_NAME[name].__annotations__ else "id"
    assert own in BY_NAME[name].__annotations__
    event = Event({"data": {"object": name, "charge_id": "ch_1", own: "own"}})
    assert object_id_of(event) == "own"


# --- processes


class Receiver:
    """A receiver that is a process of its own."""

    def __init__(self, store: str) -> None:
        self.child = children.start(
            [sys.executable, "-m", "tests.support.inbox_program", store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def tell(self, line: str = "") -> None:
        assert self.child.stdin
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()

    def hear(self) -> str:
        assert self.child.stdout
        return self.child.stdout.readline().decode().strip()

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a store with an inbox and the receiver's own table."""
    if request.param == "sqlite":
        name, connection = str(tmp_path / "books"), sqlite3.connect(tmp_path / "books")
    else:
        name = request.getfixturevalue("postgres_url")
        connection = psycopg.connect(name)
    with connection:
        connection.execute("CREATE TABLE done (event_id TEXT)")
        billing.webhook.Inbox(SECRET).set_up(connection)
    connection.close()
    return name


@pytest.fixture
def two(books: str) -> Iterator[tuple[Receiver, Receiver]]:
    pair = Receiver(books), Receiver(books)
    yield pair
    for one in pair:
        one.end()


def done(books: str) -> list[str]:
    connection = psycopg.connect(books) if "://" in books else sqlite3.connect(books)
    with connection:
        rows = connection.execute("SELECT event_id FROM done").fetchall()
    connection.close()
    return [row[0] for row in rows]


def as_line(sequence: int = 1, *, hold: bool = False) -> str:
    body, headers = a_webhook("ch_1", sequence, at=int(time.time()))
    return json.dumps({"body": body.decode(), "headers": headers, "hold": hold})


def test_of_two_processes_with_one_webhook_at_once_one_handles_it(
    books: str, two: tuple[Receiver, Receiver]
) -> None:
    first, second = two
    first.tell(as_line(hold=True))
    assert [first.hear(), first.hear()] == ["asked", "working"]
    second.tell(as_line())
    assert second.hear() == "asked"
    if "://" in books:
        _wait_for_a_lock(books)
    first.tell()
    assert (first.hear(), second.hear()) == ("new", "repeat")
    assert done(books) == [event_id("ch_1", 1)]


def _wait_for_a_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(
            lambda: connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            ).fetchone(),
            what="the second to wait for the first",
        )


def test_of_many_webhooks_that_come_to_both_each_is_handled_once(
    books: str, two: tuple[Receiver, Receiver]
) -> None:
    for sequence in range(1, 31):
        for one in two:
            one.tell(as_line(sequence))
    heard = [[one.hear() for _ in range(60)] for one in two]
    verdicts = [verdict for said in heard for verdict in said if verdict != "asked"]
    # The later may overtake the earlier: that is no reason to do one twice.
    assert verdicts.count("repeat") == 30
    handled = done(books)
    assert len(handled) == len(set(handled)) == verdicts.count("new")
    assert event_id("ch_1", 30) in handled


def test_a_receiver_that_is_killed_before_the_commit_has_done_nothing(
    books: str, two: tuple[Receiver, Receiver]
) -> None:
    first, second = two
    first.tell(as_line(hold=True))
    assert [first.hear(), first.hear()] == ["asked", "working"]
    first.child.kill()  # the work is done, and not committed
    first.child.wait()
    assert done(books) == []
    second.tell(as_line())
    assert [second.hear(), second.hear()] == ["asked", "new"]
    assert done(books) == [event_id("ch_1", 1)]
