"""The port: what every processor must be able to do for us, and what it is given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from sqlalchemy import Select

from payments.processors.outcomes import Disputed, Found, Outcome
from payments.processors.processor_limits import MoneyLimits


@dataclass(frozen=True, slots=True)
class Order:
    """One charge, capture or refund, as the processor sees it.

    `key` is the processor's idempotency key: our own id with the operation, never the caller's key,
    and the same for every attempt. (Stripe's keys belong to one endpoint each, so the operation is
    part of it.)

    The fields of a charge's order come from the columns of the same names. Each adapter chooses
    what it sends: a new field is sent by none until its adapter is changed.
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
    # The customer is present, and returns to this page after the processor's own. None: the
    # customer is absent.
    return_url: str | None = None
    # The processor's id of this object, once known.
    reference: str | None = None
    # For a charge: whether it is captured at once, or only authorized until it is captured.
    capture: Literal["automatic", "manual"] = "automatic"
    # For a capture or a refund: our id and the processor's id of the charge.
    charge_id: str | None = None
    charge_reference: str | None = None
    # For a capture: how much was captured before, and whether the rest is released afterwards.
    captured_before: int = 0
    final: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    # When it was sent for the first time, by our database's clock: nothing of it at the processor
    # is much older. None: not sent, or unknown.
    first_sent_at: datetime | None = None
    # For a charge that is looked up without a reference: when it was last sent, at the latest (the
    # processor made it before that, or within minutes of it); and how far look-ups have come, from
    # `Unknown.looked_until`.
    last_sent_at: datetime | None = None
    looked_until: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.id}:{self.kind}"


@dataclass(frozen=True, slots=True)
class ProcessorEvent:
    """What a processor reports by itself: the later outcome of a charge or refund, or the state of
    a charge's dispute. A capture is reported as its charge."""

    object_id: str  # ch_… or re_…; for a dispute, the charge's
    kind: Literal["charge", "refund", "dispute"]
    outcome: Outcome | Disputed
    # The amount of the charge or refund at the processor, if it says so. If it is not the amount
    # that we asked for, the object only carries our id, and is not ours.
    amount: int | None = None  # minor units
    currency: str | None = None  # ISO 4217, upper case


@dataclass(frozen=True, slots=True)
class FoundRefund:
    """A refund of one of our charges that was made at the processor, and not by us."""

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

    `net` is the change of our balance at the processor, so it is below zero for a refund, and `net
    = ±amount - fee` if both are in one currency.
    """

    # The processor's id of this line, unique among its lines.
    id: str
    # What moved: the processor's id of the charge or refund (also of the refund for a reversal),
    # equal to our `processor_reference`; or of the dispute, the fee, the payout. A capture is a
    # line of its charge, with the charge's reference and our id of the charge.
    reference: str
    kind: RecordKind
    # Succeeded: the money moved. Pending, failed: it did not, for processors that also list those.
    state: Literal["succeeded", "pending", "failed"]
    amount: int  # above zero; `kind` gives the direction
    currency: str
    moved_at: datetime
    # Our id, if the processor keeps it with the line: ch_… or re_….
    object_id: str | None = None
    # None: the processor does not say, or does not know yet.
    fee: int | None = None
    net: int | None = None
    settlement_currency: str | None = None  # of `fee` and `net`
    # The payout with which the money went to our bank, once it did.
    payout_id: str | None = None


class RecordsUnavailable(Exception):
    """The processor can't list its records now; what was read so far stays valid."""


class EventRefused(Exception):
    """The processor's event has no valid signature, or can't be read."""


class EventUnanswered(Exception):
    """The event is authentic, but the processor did not answer when asked for the object's
    state."""


class Processor(Protocol):
    """Every verb with a `deadline_s` answers within it, connecting, sending and reading included,
    and answers with a value: an adapter that meets an error it does not understand says Unknown.
    Verbs may be `async`: then they are awaited on a worker's event loop, hundreds at once, and must
    not block it. Others get a thread for each call.

    Events come in one of two ways. The sweep fetches waiting ones with `pull_events`, and reads
    each with `read_event`. Those that the processor posts to us go to `BringsEvents.hear`, and
    never to `read_event`: an adapter without `hear` has no address to post to.
    """

    name: str
    # Whether it moves real money: kept with every charge that it gets.
    livemode: bool
    # For how long the processor certainly remembers an idempotency key. After that, nothing is
    # resent.
    key_window: timedelta

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        """Take the money of a charge; or only authorize it (`capture: manual`), with the answer
        Authorized in place of Succeeded."""
        ...

    def refund(self, order: Order, *, deadline_s: float) -> Outcome: ...

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        """The result of an order, however long ago. For a capture: see `Authorizes.capture`.

        NotFound only if everything was searched: a search that ran out of time says Unknown, and
        how far it got.
        """
        ...

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """End a charge that has not succeeded yet, and return its state.

        Canceled: it is over, and a call for it that is still on its way moves nothing either.
        Succeeded, Declined: it had ended before. Pending: it can't be canceled now, and ends by
        itself. NotFound: unknown, with no promise about a call on its way. Canceling twice has the
        effect of canceling once.

        For an authorized charge, everything that was not captured is released. If something was
        captured, the answer is Succeeded with that amount.
        """
        ...

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """The content of an event from `pull_events`. Raises EventRefused."""
        ...

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        """Waiting events, for processors that can be polled; else an empty list."""
        ...


@runtime_checkable
class Authorizes(Protocol):
    """An optional verb: a processor that can authorize money and capture it later. Charges that are
    to be captured by hand are refused at a processor without it."""

    def capture(self, order: Order, *, deadline_s: float) -> Found:
        """Capture `amount` of what is authorized, once per key; `final` releases the rest.

        The answer is the state of the charge then, and so is that of `look_up` for this order:
        Succeeded with the total captured, if no more will be; Authorized with what was captured so
        far. If that is not more than `captured_before`, this capture was not executed. Declined:
        this capture was refused for good, and the charge is unchanged. Canceled: the authorization
        is over, and nothing was captured. Pending: it is under way. NotFound (from a look-up only):
        the processor doesn't know this key.
        """
        ...


@runtime_checkable
class KeepsStatement(Protocol):
    """An optional verb: a processor whose books, or a copy of them, are in our database.

    They are an outside witness: `billing verify` checks our tables against them, and the timeline
    shows them. A processor without one is believed.
    """

    def statement(self) -> Select[Any]:
        """Everything that it moved, as a query with columns named like the fields of Movement."""
        ...


@runtime_checkable
class ListsRecords(Protocol):
    """An optional verb: a processor that lists what it moved. `billing reconcile` compares our
    tables with it, line by line."""

    def records(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        """Its lines of that time (`until` exclusive), oldest first if it can.

        `after` is the id of a line: continue after that one, in the same order. Reads lazily, a
        page at a time, as there may be millions. Raises RecordsUnavailable.
        """
        ...


@runtime_checkable
class ListsPayouts(Protocol):
    """An optional verb: a processor that says which of its lines were paid out to our bank
    together."""

    def records_of_payout(self, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
        """The lines of a payout, and one for the payout itself, whose `reference` is its id;
        nothing if there is no such payout. `after` and errors as with `records`."""
        ...


@runtime_checkable
class DeclaresLimits(Protocol):
    """An optional attribute: the processor's limits. A request with an amount or a currency that it
    would refuse is refused on acceptance, with a number that is allowed."""

    limits: MoneyLimits


@runtime_checkable
class BringsEvents(Protocol):
    """An optional verb: a processor that posts its events to us, signed, at `POST
    /v1/billing/processors/{name}/events`. Without it that address answers 404."""

    def hear(
        self, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> ProcessorEvent | FoundRefund | None:
        """The present state of what the event is about; None if it is not about our objects.

        An event is only a hint: its object is looked up, so that duplicates and events in any order
        give the same result. Raises EventRefused; EventUnanswered if the object can't be looked up
        now.
        """
        ...


@runtime_checkable
class ChecksItself(Protocol):
    """An optional verb, for `billing doctor`: whether the processor can be reached, and accepts our
    credentials. It moves nothing."""

    def check(self, *, deadline_s: float) -> str | None:
        """What is wrong, as the end of "NAME …"; None if nothing is."""
        ...
