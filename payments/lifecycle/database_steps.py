"""The two database steps of a charge or a refund: begin (accept and claim), and settle.

Each takes a list, so that the items of many callers can share a transaction. Between them the
processor is called with no transaction open (`payments.lifecycle.executor`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.rows import LifecycleRow, as_charge, as_refund
from payments.approval_policy import NOTHING, Approvals
from payments.catalog.stock import hold_prices_of
from payments.intake import rejections
from payments.intake.judging import may_fit_later
from payments.kinds import CHARGE, KINDS, REFUND, Kind
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.accepting.asked import New, NewCharge, NewRefund
from payments.lifecycle.accepting.refund_reserve import Held
from payments.lifecycle.backoff import Dice
from payments.lifecycle.claims import Claimed, Lease, NotDue, claim_charges
from payments.lifecycle.locks import hold_charges, locked
from payments.lifecycle.moving.moves import Move, move
from payments.lifecycle.refund_claims import claim_refunds
from payments.lifecycle.settlement import Policy, decide
from payments.payment_errors import NotFound as NoSuchObject
from payments.payment_errors import Refused
from payments.processors.outcomes import Authorized, Found, Succeeded
from payments.processors.processor_limits import NO_LIMITS, MoneyLimits
from payments.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Begin:
    """Accept a request, or pick up a row by its id; and claim it if it is due."""

    lease: Lease
    new: New | None = None
    # The message with the new request, if it came by one.
    task_id: str | None = None
    kind: Kind | None = None
    id: str | None = None

    @property
    def target(self) -> tuple[Kind, str]:
        """The row to claim."""
        if self.new is not None:
            kind = REFUND if isinstance(self.new, NewRefund) else CHARGE
            return kind, self.new.request.id
        if self.kind is None or self.id is None:
            raise ValueError("neither a request nor an id")
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claim, with the result of its call."""

    claimed: Claimed
    verb: str
    found: Found


Begun = Claimed | NotDue | Refused


def begin(
    transaction: Transaction,
    items: Sequence[Begin],
    *,
    processors: Collection[str],
    limits: Mapping[str, MoneyLimits] = NO_LIMITS,
    approvals: Approvals = NOTHING,
) -> list[Begun]:
    """Accept what is new and claim what is due at one of `processors` (by name), for a list of
    items in one transaction. `limits` are those of the processors, `approvals` says what needs
    approval."""
    answers = _refused_before(transaction, items)

    def left() -> dict[int, Begin]:
        return {i: item for i, item in enumerate(items) if i not in answers}

    answers |= _accept_charges(transaction, left(), limits)
    # A new charge that is due was claimed with it.
    if others := left():
        held: Held = {}
        if any(item.target[0] is REFUND for item in others.values()):
            held = _hold_charges(transaction, others)
            answers |= _accept_refunds(
                transaction, others, held, limits=limits, approvals=approvals
            )
        answers |= _claim(transaction, left(), held, processors, approvals)
    return [answers[index] for index in range(len(items))]


def _refused_before(transaction: Transaction, items: Sequence[Begin]) -> dict[int, Begun]:
    """The items whose message was refused earlier and was delivered again. The reason may be gone
    (stock may be back, say), but the refusal has been published."""
    asked = {
        index: (item.new.request.id, item.new.request.fingerprint, item.task_id)
        for index, item in enumerate(items)
        if item.new is not None and item.task_id is not None and may_fit_later(item.new.request)
    }
    if not asked:
        return {}
    known = rejections.of_messages(transaction.connection, asked.values())
    return {index: known[message] for index, message in asked.items() if message in known}


def _accept_charges(
    transaction: Transaction, items: Mapping[int, Begin], limits: Mapping[str, MoneyLimits]
) -> dict[int, Begun]:
    """The items that are refused, or new and claimed at once; the others are still to be
    claimed."""
    new = [(i, b.new) for i, b in items.items() if isinstance(b.new, NewCharge)]
    if not new:
        return {}
    accepted = charges.accept(transaction, [one for _, one in new], limits=limits)
    answers: dict[int, Begun] = {}
    for (index, _), answer in zip(new, accepted, strict=True):
        if isinstance(answer, Refused):
            answers[index] = answer
        elif answer.claimed is not None:
            answers[index] = answer.claimed
    return answers


def _hold_charges(transaction: Transaction, items: Mapping[int, Begin]) -> Held:
    """The charges of all refunds, both new and existing."""
    new = [b.new for b in items.values() if isinstance(b.new, NewRefund)]
    # Existing refunds too: a row may have been accepted for a caller with wider access.
    due = [id_ for kind, id_ in (b.target for b in items.values()) if kind is REFUND]
    return hold_charges(transaction, to_refund=refunds.charges_of(new), of_refunds=due)


def _accept_refunds(
    transaction: Transaction, items: Mapping[int, Begin], held: Held, **rules: Any
) -> dict[int, Begun]:
    """The items that are refused, by these rules of `begin`; the others are still to be claimed."""
    new = [(i, b.new) for i, b in items.items() if isinstance(b.new, NewRefund)]
    if not new:
        return {}
    accepted = refunds.accept(transaction, [one for _, one in new], held, **rules)
    return {
        index: answer
        for (index, _), answer in zip(new, accepted, strict=True)
        if isinstance(answer, Refused)
    }


def _claim(
    transaction: Transaction,
    items: Mapping[int, Begin],
    held: Held,
    processors: Collection[str],
    approvals: Approvals,
) -> dict[int, Begun]:
    leases: dict[str, dict[str, Lease]] = {"charge": {}, "refund": {}}
    for item in items.values():
        kind, id_ = item.target
        # Of two items of one batch for the same row, the first gets it.
        leases[kind.name].setdefault(id_, item.lease)
    claims: dict[str, Claimed | NotDue] = {}
    if leases["refund"]:
        claims |= claim_refunds(
            transaction, leases["refund"], held, processors=processors, approvals=approvals
        )
    # Last, since this never waits for a lock: it skips locked rows.
    if leases["charge"]:
        claims |= claim_charges(transaction, leases["charge"], processors=processors)
    # What is claimed here need not be woken.
    transaction.wakes.charges.difference_update(leases["charge"])
    transaction.wakes.refunds.difference_update(leases["refund"])

    answers: dict[int, Begun] = {}
    for index, item in items.items():
        kind, id_ = item.target
        claim = claims.get(id_)
        if claim is None:
            answers[index] = NoSuchObject(f"there is no {kind.name} with this id", param="id")
        elif isinstance(claim, Claimed) and claim.token != item.lease.token:
            answers[index] = NotDue(claim.row)
        else:
            answers[index] = claim
    return answers


def settle(
    transaction: Transaction,
    items: Sequence[Settlement],
    *,
    policies: Mapping[str, Policy],
    dice: Dice,
) -> list[LifecycleRow]:
    """Write what came of claims, by the policies of their processors. A claim whose lease was
    taken over in the meantime changes nothing: its answer is the row as it stands (fencing)."""
    settled = {
        kind.name: [item for item in items if item.claimed.kind is kind]
        for kind in (CHARGE, REFUND)
    }
    releasing = [item.claimed.id for item in settled["charge"] if may_release(item)]
    restocking = [item.claimed.id for item in settled["refund"] if _may_restock(item)]
    if releasing or restocking:
        hold_prices_of(transaction, charges=releasing, refunds=restocking)
    charges_held = locked(transaction, CHARGE, [_charge_id(item.claimed) for item in items])
    refunds_held = locked(transaction, REFUND, [item.claimed.id for item in settled["refund"]])
    held: dict[str, LifecycleRow] = {**charges_held, **refunds_held}
    for kind in KINDS.values():
        moves: list[Move] = [
            decide(
                held[i.claimed.id],
                i.found,
                verb=i.verb,
                policy=policies[i.claimed.processor],
                dice=dice,
                capture=i.claimed.capture,
            )
            for i in settled[kind.name]
            if held[i.claimed.id].lease_token == i.claimed.token
        ]
        held |= move(transaction, kind, moves)
    return [held[item.claimed.id] for item in items]


def may_release(item: Settlement) -> bool:
    """Whether this charge's price may get stock back. A sale does not change the price, and neither
    does a charge that is still to be captured."""
    if item.claimed.kind is not CHARGE or isinstance(item.found, Succeeded | Authorized):
        return False
    return as_charge(item.claimed.row).price_id is not None


def _may_restock(item: Settlement) -> bool:
    return as_refund(item.claimed.row).restock and isinstance(item.found, Succeeded)


def _charge_id(claimed: Claimed) -> str:
    return claimed.id if claimed.kind is CHARGE else as_refund(claimed.row).charge_id
