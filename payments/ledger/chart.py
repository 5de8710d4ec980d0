"""The chart of the ledger: on which accounts the money of a charge, a refund and a dispute stands
in each status.

All postings follow from it. A balance is debits less credits, so what we have is above zero, and
what we owe or were paid is below.
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
# The accounts debited and credited with the amount, by status.
Sides = tuple[Account, Account]

_TAKEN: Sides = (Account.CLEARING, Account.CUSTOMER)
_TAKEN_PERHAPS: Sides = (Account.IN_TRANSIT, Account.CUSTOMER)
_TO_GIVE_BACK: Sides = (Account.CUSTOMER, Account.REFUNDS_PAYABLE)

# A status that is missing here has no postings: no money has moved, nor may have.
STANDS: Mapping[Of, Mapping[State | Phase | DisputeState, Sides]] = {
    "charge": {
        Phase.UNKNOWN: _TAKEN_PERHAPS,
        Phase.NEEDS_REVIEW: _TAKEN_PERHAPS,
        State.SUCCEEDED: _TAKEN,
    },
    # Once it has reserved its amount.
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
    """The producer, the processor and the currency of money; and whether it is real."""

    producer: str
    processor: str
    currency: str
    livemode: bool


# The parts: the money itself, its conversion, the processor's fee. Each part is balanced by itself,
# and posted by itself.
Part = Literal["money", "exchange", "fee"]
# Debits less credits, in minor units, of the accounts that are not zero.
Standing = dict[tuple[Book, Part, Account], int]


def of_charge(row: ChargeRow, capturing: int = 0) -> Standing:
    """Where a charge's money stands; `capturing` is the amount of the capture that is under way.

    For a charge that is captured by hand, what was captured counts as taken, whatever the state of
    the next capture; only that one may be in transit. An authorization moves no money.
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
    """Where the disputed money stands."""
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
    """The effective time of a row's postings: its end, or else the move."""
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
    """The processor's settlement of what was taken: converted into its settlement currency, if that
    differs, less its fee."""
    settled = Book(book.producer, book.processor, row.settlement_currency or "", book.livemode)
    fee, net = row.fee or 0, row.net or 0
    _post(standing, book, (Account.EXCHANGE, Account.CLEARING), taken, "exchange")
    _post(standing, settled, (Account.CLEARING, Account.EXCHANGE), fee + net, "exchange")
    _post(standing, settled, (Account.FEES, Account.CLEARING), fee, "fee")
