"""What can differ between our row and the processor's records of it, by code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from payments.amounts import in_words
from payments.processors.outcomes import Declined, Succeeded
from payments.processors.port import Record
from payments.views import moment

Kind = Literal["charge", "refund"]


class Code(StrEnum):
    ONLY_OURS = "only_ours"
    ONLY_THEIRS = "only_theirs"
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    STATE_DIFFERS = "state_differs"
    FEE_DIFFERS = "fee_differs"
    DUPLICATE_AT_PROCESSOR = "duplicate_at_processor"
    PAYOUT_DIFFERS = "payout_differs"


# Why a difference is left to a person.
LEFT: Mapping[Code, str] = {
    Code.ONLY_OURS: "ask the processor; what we announced is not taken back",
    Code.ONLY_THEIRS: "find out who asked for it; no charge or refund is made up",
    Code.AMOUNT_DIFFERS: "an amount that moved is not changed; refund or charge what is missing",
    Code.CURRENCY_DIFFERS: "a currency is not changed afterwards; ask the processor",
    Code.STATE_DIFFERS: "final is final here; refund at the processor, or charge again",
    Code.FEE_DIFFERS: "ask the processor; fees are theirs",
    Code.DUPLICATE_AT_PROCESSOR: "refund the second one at the processor; we move no money for it",
    Code.PAYOUT_DIFFERS: "ask the processor for what is missing",
}
# The same for what is pending here.
UNSETTLED = "a look-up or an event settles it; what needs review, `billing resolve`"


@dataclass(frozen=True, slots=True)
class Ours:
    """A charge or a refund from our tables, without personal data."""

    kind: Kind
    id: str
    processor: str
    reference: str | None
    state: str
    phase: str | None
    is_leased: bool
    amount: int | None
    # The amount moved, as far as we know.
    moved: int
    # Whether it may be captured in parts, by hand.
    by_hand: bool
    currency: str | None
    began_at: datetime | None  # no money moved before
    settled_at: datetime | None
    # The processor's fee on a charge and the net amount, as it reported them; None: not yet, or a
    # refund.
    fee: int | None = None
    net: int | None = None
    settlement_currency: str | None = None

    def view(self) -> dict[str, Any]:
        """The form for programs."""
        return {
            "amount": self.amount,
            "currency": self.currency,
            "state": self.state,
            "phase": self.phase,
            "processor": self.processor,
            "settled_at": moment(self.settled_at),
            "fee": self.fee,
            "net": self.net,
            "settlement_currency": self.settlement_currency,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference about one charge or refund."""

    code: Code
    kind: Kind | Literal["payout"]
    # Our id, if either side has it; and the processor's.
    object_id: str | None
    reference: str | None
    detail: str
    ours: Ours | None
    theirs: Sequence[Record]
    # The processor's report that would settle it, if that is all that is missing.
    remedy: Succeeded | Declined | None = None
    is_repaired: bool = False
    # Why it was left, if not for its code.
    left_because: str | None = None

    @property
    def advice(self) -> str:
        """What happens with it, as a sentence for people."""
        if self.is_repaired:
            return "repaired: told as the processor's own report"
        if self.left_because is not None:
            return self.left_because
        if self.remedy is not None:
            return "--apply settles it, as the processor's own report would"
        is_pending = self.ours is not None and self.ours.phase is not None
        return UNSETTLED if is_pending else LEFT[self.code]

    def view(self) -> dict[str, Any]:
        """The form for programs."""
        return {
            "object": "difference",
            "code": self.code.value,
            "kind": self.kind,
            "id": self.object_id,
            "processor_reference": self.reference,
            "detail": self.detail,
            "ours": self.ours.view() if self.ours else None,
            "theirs": [_line(record) for record in self.theirs],
            "can_be_repaired": self.remedy is not None and self.left_because is None,
            "repaired": self.is_repaired,
            "advice": self.advice,
        }


def in_sum(records: Sequence[Record]) -> str:
    """The sum of these lines for people: `19.99 USD`; a dash if there are none."""
    sums: dict[str, int] = {}
    for record in records:
        sums[record.currency] = sums.get(record.currency, 0) + record.amount
    return " + ".join(in_words(amount, currency) for currency, amount in sums.items()) or "–"


def _line(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "reference": record.reference,
        "kind": record.kind,
        "state": record.state,
        "amount": record.amount,
        "currency": record.currency,
        "fee": record.fee,
        "net": record.net,
        "settlement_currency": record.settlement_currency,
        "moved_at": moment(record.moved_at),
        "payout_id": record.payout_id,
    }
