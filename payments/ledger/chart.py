"""Where the money of a charge, a refund and a dispute stands, by how that stands: the chart of the
ledger.

All that is ever posted follows from it. A balance is debits less credits, so that what we have is
above zero, and what we owe or were paid is below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from models.bookkeeping import Account
from models.rows import ChargeRow, DisputeRow, RefundRow, as_charge, as_refund
from models.states import DisputeState, Phase, State, status_of
from payments.access.scopes import owner

Of = Literal["charge", "refund", "dispute"]
# What is debited and what is credited with the amount of something that stands so.
Sides = tuple[Account, Account]

_TAKEN: Sides = (Account.CLEARING, Account.CUSTOMER)
_TAKEN_PERHAPS: Sides = (Account.IN_TRANSIT, Account.CUSTOMER)
_TO_GIVE_BACK: Sides = (Account.CUSTOMER, Account.REFUNDS_PAYABLE)

# Of what is not here nothing is posted: no money has moved, nor may have.
STANDS: Mapping[Of, Mapping[State | Phase | DisputeState, Sides]] = {
    "charge": {
        Phase.UNKNOWN: _TAKEN_PERHAPS,
        Phase.NEEDS_REVIEW: _TAKEN_PERHAPS,
        State.SUCCEEDED: _TAKEN,
    },
    # From when it has reserved its amount.
    "refund": {
        Phase.QUEUED: _TO_GIVE_BACK,
        Phase.IN_FLIGHT: _TO_GIVE_BACK,
        Phase.AWAITING_CUSTOMER: _TO_GIVE_BACK,
        Phase.AWAITING_APPROVAL: _TO_GIVE_BACK,
        Phase.UNKNOWN: (Account.CUSTOMER, Account.IN_TRANSIT),
        Phase.NEEDS_REVIEW: (Account.CUSTOMER, Account.IN_TRANSIT),
        State.SUCCEEDED: (Account.CUSTOMER, Account.CLEARING),
    },
    "dispute": {
        DisputeState.NEEDS_RESPONSE: (Account.DISPUTES, Account.CLEARING),
        DisputeState.UNDER_REVIEW: (Account.DISPUTES, Account.CLEARING),
        DisputeState.LOST: (Account.CUSTOMER, Account.CLEARING),
    },
}


@dataclass(frozen=True, slots=True)
class Book:
    """Whose money, at which processor, in which currency; and whether it is real."""

    producer: str
    processor: str
    currency: str
    livemode: bool


# What a part of it is for: the money itself, what it was changed into, what the processor keeps.
# Each is in balance by itself, and posted by itself.
Part = Literal["money", "exchange", "fee"]
# Debits less credits, in minor units, of the accounts that are not at zero.
Standing = dict[tuple[Book, Part, Account], int]


def of_charge(row: ChargeRow, capturing: int = 0) -> Standing:
    """Where a charge's money stands; `capturing` is the amount of the capture that is under way.

    Of one that is captured by hand, what was captured has been taken, however the next capture
    stands; only that one may be in transit. To set money aside moves none.
    """
    book = Book(row.producer, row.processor, row.currency, row.livemode)
    standing: Standing = {}
    sides = STANDS["charge"].get(status_of(row.state, row.phase))
    if row.amount_captured is None:
        taken = row.amount if sides is _TAKEN else 0
        _post(standing, book, sides, row.amount)
    else:
        taken = row.amount_captured
        _post(standing, book, _TAKEN, taken)
        if sides is _TAKEN_PERHAPS:
            _post(standing, book, sides, capturing)
    if row.fee is not None:
        _settle(standing, book, taken, row)
    return {place: amount for place, amount in standing.items() if amount}


def of_refund(row: RefundRow) -> Standing:
    """Where a refund's money stands."""
    standing: Standing = {}
    if row.reserved and row.amount is not None and row.currency is not None:
        book = Book(owner(row), row.processor, row.currency, row.livemode)
        _post(standing, book, STANDS["refund"].get(status_of(row.state, row.phase)), row.amount)
    return standing


def of_dispute(row: DisputeRow) -> Standing:
    """Where the money stands that a bank contests."""
    standing: Standing = {}
    book = Book(row.producer, row.processor, row.currency, row.livemode)
    _post(standing, book, STANDS["dispute"].get(DisputeState(row.state)), row.amount)
    return standing


def of_row(of: Of, row: Any, capturing: int = 0) -> Standing:
    """Where the money of a row of that kind stands."""
    if of == "charge":
        return of_charge(as_charge(row), capturing)
    return of_refund(as_refund(row)) if of == "refund" else of_dispute(row)


def effective_at(row: Any) -> datetime:
    """The moment at which what is posted of a row counts: that of its end, or of the move."""
    settled: datetime | None = getattr(row, "settled_at", None)
    now: datetime = row.now
    return settled or now


def _post(
    standing: Standing, book: Book, sides: Sides | None, amount: int, part: Part = "money"
) -> None:
    if sides is not None:
        debit, credit = (book, part, sides[0]), (book, part, sides[1])
        standing[debit] = standing.get(debit, 0) + amount
        standing[credit] = standing.get(credit, 0) - amount


def _settle(standing: Standing, book: Book, taken: int, row: ChargeRow) -> None:
    """What the processor made of what was taken: changed into the currency in which it settles,
    where that is another, less what it keeps."""
    settled = Book(book.producer, book.processor, row.settlement_currency or "", book.livemode)
    fee, net = row.fee or 0, row.net or 0
    _post(standing, book, (Account.EXCHANGE, Account.CLEARING), taken, "exchange")
    _post(standing, settled, (Account.CLEARING, Account.EXCHANGE), fee + net, "exchange")
    _post(standing, settled, (Account.FEES, Account.CLEARING), fee, "fee")
