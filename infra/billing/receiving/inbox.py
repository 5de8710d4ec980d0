"""An inbox: what a receiver needs to handle each webhook once, in order, and miss none."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.billing.contract.event_types import ONLY_BY_NAME
from infra.billing.contract.objects import Event
from infra.billing.contract.signatures import SEQUENCE_HEADER
from infra.billing.errors import InvalidRequest
from infra.billing.receiving.book import Book
from infra.billing.receiving.mapping_book import MappingBook
from infra.billing.receiving.sql_book import SqlBook
from infra.billing.receiving.verification import (
    TOLERANCE_S,
    Headers,
    Secrets,
    lower,
    verify,
)

NUMBER_DIGITS_MAX = 18  # what a BIGINT holds
# Webhooks arrive in parallel, and a failed one comes again after five seconds, then five minutes.
# After this long a missing one is worth asking for.
WAITING_S = 60

# The handler of an event: called with it, and the store, whose transaction is open.
Work = Callable[[Event, Any], object]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result for a webhook.

    `new`: handle it. `repeat`: the event was handled before. `overtaken`: it is new, but a newer
    event of the same object was handled before, and contained everything that this one does.
    """

    event: Event
    verdict: Literal["new", "repeat", "overtaken"]
    # The endpoint's number of this webhook; None when it came without one.
    number: int | None = None
    # The numbers just before it that have not come, or are being handled right now.
    missing: range = range(0)

    @property
    def is_new(self) -> bool:
        return self.verdict == "new"


class Inbox:
    """Verifies webhooks, and sees to it that each event is handled once.

    ::

        inbox = billing.webhook.Inbox(SECRET)
        inbox.set_up(connection)                     # once: its three tables beside yours

        inbox.handle(body, headers, connection, work)  # work(event, connection); one transaction

    A *store* is a DB-API connection of SQLite or PostgreSQL (`sqlite3`, `psycopg`, what SQLAlchemy
    or Django have of these), or a mapping such as a dict, which is for tests and for receivers that
    may do a thing twice when they are killed. That an event was handled is noted in the transaction
    that handles it, so at no moment one is true and the other is not; of two processes that receive
    the same webhook at once, the second waits for the first.

    An inbox may be shared by threads; a connection may not. Each endpoint counts its webhooks, so
    it has an inbox of its own: `tables` is what the names of its tables begin with. `paramstyle` is
    how the connection marks parameters, where its module does not say.
    """

    def __init__(
        self,
        secret: Secrets,
        *,
        tables: str = "billing_inbox",
        paramstyle: str | None = None,
        tolerance_s: float = TOLERANCE_S,
    ) -> None:
        self._secret = secret
        self._tables = tables
        self._paramstyle = paramstyle
        self._tolerance_s = tolerance_s

    def set_up(self, store: Any, *, position: int | None = None) -> None:
        """Make the tables where there are none; commits. `position`: where in the feed `catch_up`
        begins, if it has not begun yet."""
        book = self._book(store)
        with book.transaction():
            book.set_up()
            if position is not None and book.mark("position") is None:
                book.set_mark("position", position)

    def handle(
        self,
        body: bytes | str,
        headers: Headers,
        store: Any,
        work: Work,
        *,
        late: Work | None = None,
        now: float | None = None,
    ) -> Receipt:
        """Verify a webhook, and call `work(event, store)` if it is to be handled: in one
        transaction, which is committed.

        `late` is called instead for an event that was overtaken; without it, nothing is. Answer
        2xx whatever the receipt says. Raises InvalidSignature (answer 400), and whatever `work`
        raises (answer 5xx): then nothing is kept, and the event comes again.
        """
        event, number = self._verified(body, headers, now)
        book = self._book(store)
        with book.transaction():
            receipt = self._noted(book, event, number, now)
            _do(receipt, store, work, late)
        return receipt

    def receive(
        self, body: bytes | str, headers: Headers, store: Any, *, now: float | None = None
    ) -> Receipt:
        """Verify a webhook, and note it in your transaction: handle the event if the receipt says
        `is_new`, then commit.

        For transactions that something else ends: Django's `atomic()`, SQLAlchemy's session.
        Raises InvalidSignature; InvalidRequest when the connection commits by itself.
        """
        event, number = self._verified(body, headers, now)
        return self.note(event, store, number=number, now=now)

    def note(
        self, event: Event, store: Any, *, number: int | None = None, now: float | None = None
    ) -> Receipt:
        """As `receive`, for an event that was verified already, or read in the feed. `number` is
        its webhook's header `webhook-sequence`."""
        book = self._book(store)
        book.require_transaction()
        return self._noted(book, event, number, now)

    def missing(
        self, store: Any, *, waiting_s: float = WAITING_S, now: float | None = None
    ) -> list[range]:
        """The numbers of webhooks that have not come, though a later one did `waiting_s` ago.

        Ask every minute or so, and `catch_up` if there are any. That the *last* ones are missing
        shows only when another comes; so call `catch_up` once a day all the same.
        """
        book = self._book(store)
        return list(book.gaps(seen_by=_moment(now) - int(waiting_s)))

    def catch_up(
        self,
        store: Any,
        work: Work,
        *,
        late: Work | None = None,
        event_types: Collection[str] | None = None,
        waiting_s: float = WAITING_S,
        events: Callable[[int], Iterable[Event]] | None = None,
        now: float | None = None,
    ) -> int:
        """Read the feed to its end, and handle what was missed, each event in a transaction of its
        own; returns how many those were.

        It goes on where it ended the last time. The first time it begins at the position given to
        `set_up`, or behind the first event of the feed that this inbox has received. `event_types`
        are those of the endpoint; all but the `.pending` ones, unless given.

        Needs `billing.configure` with an http(s) url and a key that sees what the endpoint sees.
        `events` gives the events behind a position, where the SDK's own feed is not to be asked.
        Raises EventsGone when some that were missed have left the feed: see `go_on`.
        """
        book = self._book(store)
        with book.transaction():
            # What is numbered by now was committed before that was: the feed has all that is below.
            whole_to = book.highest_number(seen_by=_moment(now) - int(waiting_s))
            position = book.mark("position")
        begun, count = position is not None, 0
        for event in (events or _feed)(position or 0):
            with book.transaction():
                if not begun:
                    begun = book.knows(event.id)
                elif _is_wanted(event, event_types) and not book.knows(event.id):
                    receipt = self._noted(book, event, None, now)
                    _do(receipt, store, work, late)
                    book.set_mark("position", event.position)
                    count += receipt.verdict != "repeat"
            position = int(event.position)
        with book.transaction():
            if begun and position is not None:
                book.set_mark("position", position)
            if begun and whole_to is not None:
                book.set_mark("whole_to", max(whole_to, book.mark("whole_to") or 0))
        return count

    def go_on(self, store: Any, *, position: int) -> None:
        """Have `catch_up` go on behind this position of the feed, or where it is if that is
        further; commits. After EventsGone: read the objects that you keep as they stand now, then
        go on at `error.facts["kept_after"]`.
        """
        if position < 0:
            raise InvalidRequest("position must be a number from 0", param="position")
        book = self._book(store)
        with book.transaction():
            book.set_mark("position", max(position, book.mark("position") or 0))

    def forget(self, store: Any, *, older_than_s: float, now: float | None = None) -> int:
        """Forget events that came longer ago, and what is missing among them; returns how many.

        Keep them for as long as you may have events replayed: 30 days, say.
        """
        before = _moment(now) - int(older_than_s)
        book = self._book(store)
        with book.transaction():
            highest = book.highest_number(seen_by=before - 1)
            if highest is not None:
                book.set_mark("whole_to", max(highest, book.mark("whole_to") or 0))
            return book.forget(before)

    def _verified(
        self, body: bytes | str, headers: Headers, now: float | None
    ) -> tuple[Event, int | None]:
        given = lower(headers)
        event = verify(body, given, self._secret, tolerance_s=self._tolerance_s, now=now)
        return event, _number_in(given)

    def _noted(self, book: Book, event: Event, number: int | None, now: float | None) -> Receipt:
        moment = _moment(now)
        if not book.remember(event.id, number, moment):
            return Receipt(event, "repeat", number)
        missing = _missing_before(book, number)
        object_id, sequence = object_id_of(event), _sequence_of(event)
        if object_id is None or sequence is None or book.advance(object_id, sequence, moment):
            return Receipt(event, "new", number, missing)
        return Receipt(event, "overtaken", number, missing)

    def _book(self, store: Any) -> Book:
        if isinstance(store, MutableMapping):
            return MappingBook(store)
        if callable(getattr(store, "cursor", None)) and not hasattr(store, "__aenter__"):
            return SqlBook(store, tables=self._tables, paramstyle=self._paramstyle)
        raise InvalidRequest(
            "store must be a DB-API connection, like those of sqlite3 and psycopg, or a mapping;"
            " of SQLAlchemy it is session.connection().connection, and an asynchronous one is none",
            param="store",
        )


def object_id_of(event: Event) -> str | None:
    """The id of the object whose events `sequence` counts; None if it has none.

    It is `id`, or named after the object: `charge_id` for a charge.
    """
    data = event.get("data")
    if not isinstance(data, Mapping):
        return None
    found = data.get("id", data.get(f"{data.get('object')}_id"))
    return found if isinstance(found, str) else None


def _missing_before(book: Book, number: int | None) -> range:
    if number is None:
        return range(0)
    known = [one for one in (book.number_before(number), book.mark("whole_to")) if one is not None]
    return range(max(known) + 1, number) if known else range(0)


def _do(receipt: Receipt, store: Any, work: Work, late: Work | None) -> None:
    if receipt.verdict == "new":
        work(receipt.event, store)
    elif receipt.verdict == "overtaken" and late is not None:
        late(receipt.event, store)


def _feed(position: int) -> Iterable[Event]:
    from infra.billing import event  # which verifying a webhook needs nothing of

    return event.list(after=position).auto_paging_iter()


def _is_wanted(event: Event, event_types: Collection[str] | None) -> bool:
    return event.type not in ONLY_BY_NAME if event_types is None else event.type in event_types


def _sequence_of(event: Event) -> int | None:
    sequence = event.get("sequence")
    return sequence if isinstance(sequence, int) and not isinstance(sequence, bool) else None


def _number_in(headers: Mapping[str, str]) -> int | None:
    """The webhook's number. It is not signed: an invalid one is ignored, and changes nothing."""
    given = headers.get(SEQUENCE_HEADER, "").strip()
    is_number = given.isascii() and given.isdigit() and len(given) <= NUMBER_DIGITS_MAX
    return int(given) if is_number else None


def _moment(now: float | None) -> int:
    return int(time.time() if now is None else now)
