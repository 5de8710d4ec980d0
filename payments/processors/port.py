"""The port: what any processor must be able to do for us, and what it gets to know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from sqlalchemy import Select

from payments.processors.limits import MoneyLimits
from payments.processors.outcomes import Disputed, Found, Outcome


@dataclass(frozen=True, slots=True)
class Order:
    """One charge, capture or refund, as the processor sees it.

    `key` is the processor's idempotency key: our own id with the operation, never the caller's
    key, and the same for every attempt. (Stripe's keys belong to one endpoint each, so the
    operation is part of it.)

    Of a charge, fields are filled in from the columns of their names. What is sent of them is each
    adapter's choice: one that is new is sent by none until it says so.
    """

    id: str  # ch_…, cap_… or re_…
    kind: Literal["charge", "capture", "refund"]
    amount: int  # minor units
    currency: str  # ISO 4217, upper case
    customer_id: str | None = None
    payment_method_id: str | None = None
    description: str | None = None
    statement_descriptor: str | None = None
    receipt_email: str | None = None
    # The customer is there, and comes back to this page when the processor has sent them to its
    # own. None: nobody is there.
    return_url: str | None = None
    # The processor's id of this very object, once known.
    reference: str | None = None
    # For a charge: whether its money is taken at once, or only set aside until it is captured.
    capture: Literal["automatic", "manual"] = "automatic"
    # For a capture or a refund: our id and the processor's id of the charge.
    charge_id: str | None = None
    charge_reference: str | None = None
    # For a capture: what earlier ones took, and whether what this one leaves is let go of.
    captured_before: int = 0
    final: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    # When it was sent for the first time, by our database's clock: the processor has nothing of it
    # that is much older. None: not yet, or nobody knows.
    first_sent_at: datetime | None = None
    # Of a charge that is looked up without a reference. When it was sent for the last time, at the
    # latest: the processor made it before, or within minutes of that. And how far look-ups have
    # come, as `Unknown.looked_until` said.
    last_sent_at: datetime | None = None
    looked_until: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.id}:{self.kind}"


@dataclass(frozen=True, slots=True)
class ProcessorEvent:
    """What a processor tells by itself: the later outcome of one of our objects, or how a dispute
    of a charge stands. Captures are told as their charge."""

    object_id: str  # ch_… or re_…; of a dispute: that of the charge
    kind: Literal["charge", "refund", "dispute"]
    outcome: Outcome | Disputed
    # Of which amount the charge or refund is there, if it says so. One of another than we asked for
    # carries our id, and is none of ours.
    amount: int | None = None  # minor units
    currency: str | None = None  # ISO 4217, upper case


@dataclass(frozen=True, slots=True)
class FoundRefund:
    """A refund of a charge of ours that was made at the processor, and not by us."""

    reference: str  # the processor's id of it
    charge_id: str
    charge_reference: str
    amount: int  # minor units
    currency: str  # ISO 4217, upper case
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved once, by the processor's own books; minor units."""

    object_id: str  # ch_…, cap_… or re_…
    charge_id: str  # the charge itself, or that of the capture or refund
    reference: str  # the processor's id of it
    # `charge`, and `capture` of one that was authorized: from the customer to us; `refund`: back;
    # `reversal`: a refund that came back to us.
    direction: Literal["charge", "capture", "refund", "reversal"]
    amount: int
    currency: str
    moved_at: datetime


RecordKind = Literal["charge", "refund", "reversal", "dispute", "fee", "payout", "other"]


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a processor's books, as it lists them; minor units.

    `net` is what the line changed our balance at the processor by, so that of a refund is below
    zero, and `net = ±amount - fee` where both are in one currency.
    """

    # The processor's id of this very line: no two lines of it have the same.
    id: str
    # What moved: the processor's id of the charge or refund (the refund's for a reversal, too) as
    # our row keeps it, `processor_reference`; or of the dispute, the fee, the payout. A capture is
    # a line of its charge: under the charge's reference and our id of the charge.
    reference: str
    kind: RecordKind
    # Succeeded: the money moved. Pending, failed: it did not, for processors that list those, too.
    state: Literal["succeeded", "pending", "failed"]
    amount: int  # above zero; `kind` says which way
    currency: str
    moved_at: datetime
    # Ours, when the processor keeps it beside the line: ch_… or re_….
    object_id: str | None = None
    # None: it does not say, or does not know yet.
    fee: int | None = None
    net: int | None = None
    settlement_currency: str | None = None  # of `fee` and `net`
    # The payout with which the money went to our bank, once it did.
    payout_id: str | None = None


class RecordsUnavailable(Exception):
    """The processor can't list its records now; what was read so far stands."""


class EventRefused(Exception):
    """The processor's event has no valid signature, or can't be read."""


class EventUnanswered(Exception):
    """The event is the processor's, but it gave no answer when it was asked how it stands."""


class Processor(Protocol):
    """Every verb that is given a `deadline_s` answers within it, connect, send and read included,
    and answers with a value: an adapter that meets an error it does not understand says Unknown.
    They may be `async`: then they are awaited on a worker's event loop, hundreds at once, and must
    not block it. Others get a thread for each call.

    Events come in one of two ways. The sweep fetches those that wait with `pull_events`, and reads
    each with `read_event`. Those that the processor posts to us go to `BringsEvents.hear`, and
    never to `read_event`: an adapter without `hear` has no address to post to.
    """

    name: str
    # Whether it moves real money: kept with every charge that it takes.
    livemode: bool
    # For how long the processor surely remembers an idempotency key. Past it, nothing is resent.
    key_window: timedelta

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        """Take the money of a charge; or set it aside (`capture: manual`): then the answer is
        Authorized where it would be Succeeded."""
        ...

    def refund(self, order: Order, *, deadline_s: float) -> Outcome: ...

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        """What came of an order, however long ago. Of a capture: as `Authorizes.capture` says.

        NotFound only when everything was looked through: one that ran out of time says Unknown, and
        how far it came.
        """
        ...

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """End a charge that has not succeeded yet, and say how it stands then.

        Canceled: it is over, and a call for it that is still on its way moves nothing either.
        Succeeded, Declined: it had ended before. Pending: it can't be canceled now, and ends by
        itself. NotFound: never heard of, with no promise about a call on its way. To cancel
        twice is to cancel once.

        Of what is authorized, everything that was not captured is let go of. If something was
        captured, that is Succeeded with what it was.
        """
        ...

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """What an event that `pull_events` fetched says. Raises EventRefused."""
        ...

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        """Events that wait to be fetched, for processors that can be asked; else an empty list."""
        ...


@runtime_checkable
class Authorizes(Protocol):
    """An optional verb: a processor that can set money aside and take it later. Charges that are
    to be captured by hand are refused where the processor can't."""

    def capture(self, order: Order, *, deadline_s: float) -> Found:
        """Take `amount` of what is authorized, once per key; `final` lets go of the rest.

        The answer tells how the charge stands then, and so does `look_up` of this order: Succeeded
        with all that was taken, when no more will be; Authorized with what was taken so far. Is
        that not more than `captured_before`, then this capture was not executed. Declined: this
        capture was refused for good, and the charge stands as it did. Canceled: the authorization
        is over, and nothing was taken. Pending: it is under way. NotFound (from a look-up only):
        the processor has never heard of this key.
        """
        ...


@runtime_checkable
class KeepsStatement(Protocol):
    """An optional verb: a processor whose books, or a copy of them, lie in our database.

    They are an outside witness: `billing verify` holds our tables against them, and the timeline
    shows what they say. A processor without one is believed.
    """

    def statement(self) -> Select[Any]:
        """Everything that it moved, as a query with the columns of Movement, by their names."""
        ...


@runtime_checkable
class ListsRecords(Protocol):
    """An optional verb: a processor that lists what it moved. `billing reconcile` holds our tables
    against it, line by line."""

    def records(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        """Its lines of that time (`until` not included), oldest first where it can.

        `after` is the id of a line: it goes on behind that one, in the order in which it listed
        them before. Reads as it goes, a page at a time: there may be millions. Raises
        RecordsUnavailable.
        """
        ...


@runtime_checkable
class ListsPayouts(Protocol):
    """An optional verb: a processor that tells which of its lines went to our bank together."""

    def records_of_payout(self, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
        """The lines of a payout, and one of the payout itself, whose `reference` is its id; nothing
        when there is no such payout. `after` and errors as with `records`."""
        ...


@runtime_checkable
class DeclaresLimits(Protocol):
    """An optional attribute: what the processor takes. What it would refuse for its amount or its
    currency is refused when it is accepted, with the number that would do."""

    limits: MoneyLimits


@runtime_checkable
class BringsEvents(Protocol):
    """An optional verb: a processor that posts its events to us, signed, at
    `POST /v1/billing/processors/{name}/events`. Without it that address answers 404."""

    def hear(
        self, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> ProcessorEvent | FoundRefund | None:
        """What is so, now that the event came; None when it is about nothing of ours.

        An event is a hint: what it is about is looked up, so that duplicates and events in any
        order tell the same. Raises EventRefused; EventUnanswered when it can't be looked up now.
        """
        ...


@runtime_checkable
class ChecksItself(Protocol):
    """An optional verb, for `billing doctor`: whether the processor can be reached, and takes us
    for who we are. It moves nothing."""

    def check(self, *, deadline_s: float) -> str | None:
        """What is wrong, as the end of "NAME …"; None when nothing is."""
        ...
