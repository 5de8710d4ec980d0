"""Capturing: taking authorized money, in the order of the requests.

A capture is written down under a key of its own, and its charge is queued for it in the same
transaction. It is claimed, called and settled like any charge (`payments.lifecycle.executor`), with
one difference: if something is left to capture, or the processor refused, the charge returns to
`authorized`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.requests.capture_request import CaptureRequest
from models import Capture
from models.base import id_among, table_of
from models.rows import CaptureRow, ChargeRow
from models.states import Phase, State
from payments.access import audit_log
from payments.access.audit_log import Action
from payments.access.scopes import OPERATOR, Access, owner
from payments.acting import Acting
from payments.amounts import in_words
from payments.intake import rejections
from payments.intake.judging import judge
from payments.intake.timing import ANY_TIME, Timing, objections
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.capturing.authorizations import is_capturing
from payments.lifecycle.locks import locked
from payments.lifecycle.moving.moves import Move, move
from payments.parsing import refusal_of
from payments.payment_errors import (
    CaptureExceedsCharge,
    ChargeNotCapturable,
    KeyReused,
    NotFound,
    Refused,
)
from payments.processors.processor_limits import ANYTHING, NO_LIMITS, MoneyLimits
from payments.transaction import Transaction
from payments.views import charge_view, standing
from payments.webhooks.outbox import Fact, publish

# A day is enough to capture by hand what was forgotten. An authorization that is shorter than a day
# is announced at once.
WARNED_BEFORE = timedelta(days=1)
BATCH = 500


@dataclass(frozen=True, slots=True)
class NewCapture:
    """A request to capture. A charge that `access` doesn't see is not found. `acting` is the actor,
    if the transaction serves several."""

    request: CaptureRequest
    access: Access = OPERATOR
    acting: Acting | None = None
    request_id: str | None = None
    task_id: str | None = None  # the message that asks for it, if one does
    timing: Timing = ANY_TIME


def accept(
    transaction: Transaction,
    asked: Sequence[NewCapture],
    *,
    limits: Mapping[str, MoneyLimits] = NO_LIMITS,
) -> list[Accepted | Refused]:
    """Write down these captures, and queue their charges. Returns an answer for each in its place:
    its charge as it stands now, or the refusal.

    The same key with the same request is the same capture; with another request it is refused
    (KeyReused). Also refused: NotFound; ChargeNotCapturable if the charge is not authorized, or is
    being captured or canceled already; CaptureExceedsCharge; requests outside their own time limits
    (`payments.intake.timing`), and what today's rules forbid (`payments.intake.judging`). `limits`
    are those of the processors, by name.
    """
    rows = locked(transaction, CHARGE, _seen(transaction, asked))
    # Only now: a repeat that waited for the lock must find the first request's capture.
    known = _known(transaction, asked)
    timings = {place: one.timing for place, one in enumerate(asked)}
    late = objections(transaction, timings, may_wait=False)
    refused_before = _refused_before(transaction, asked)
    answers: list[Accepted | Refused] = []
    done: list[Action] = []
    for place, one in enumerate(asked):
        row = rows.get(one.request.charge_id)
        is_new = one.request.id not in known
        objection = (
            refused_before.get(place)
            or _objection(row, one, known.get(one.request.id), limits)
            or late.get(place)
        )
        if objection is not None and (is_new or isinstance(objection, KeyReused | NotFound)):
            answers.append(objection)
        elif row is not None and not is_new:
            answers.append(Accepted(row, fresh=False))
        elif row is not None and not _write_down(transaction, row, one):
            # The same key was used for another charge in the meantime; this charge was locked all
            # along.
            answers.append(KeyReused(param="idempotency_key"))
        elif row is not None:
            known[one.request.id] = one.request.fingerprint
            rows[row.id] = _queue(transaction, row, one)
            done.append(_action(row, rows[row.id], one))
            answers.append(Accepted(rows[row.id], fresh=True))
    audit_log.record_all(transaction, done)
    return answers


def warn_of_expiry(transaction: Transaction, *, limit: int = BATCH) -> int:
    """Publish that authorizations will soon be over, once for each; returns how many."""
    rows = transaction.read(ChargeRow, _WARN, {"limit": limit})
    publish(
        transaction,
        [
            Fact(
                "charge.authorization_expiring",
                row.id,
                row.sequence,
                charge_view(row),
                row.now,
                owner(row),
            )
            for row in rows
        ],
    )
    return len(rows)


def _refused_before(transaction: Transaction, asked: Sequence[NewCapture]) -> dict[int, Refused]:
    """The requests whose message was refused earlier and was delivered again. The charge may be
    authorized by now, but the refusal has been published."""
    messages = {
        place: (one.request.charge_id, one.request.fingerprint, one.task_id)
        for place, one in enumerate(asked)
        if one.task_id is not None
    }
    known = rejections.of_messages(transaction.connection, messages.values())
    return {place: known[message] for place, message in messages.items() if message in known}


def _seen(transaction: Transaction, asked: Sequence[NewCapture]) -> set[str]:
    """The charges that the callers may see; others are not locked either."""
    ids = sorted({one.request.charge_id for one in asked})
    owners = {row.id: owner(row) for row in transaction.read(ChargeRow, _OWNERS, {"ids": ids})}
    return {
        one.request.charge_id
        for one in asked
        if one.request.charge_id in owners and one.access.sees(owners[one.request.charge_id])
    }


def _known(transaction: Transaction, asked: Sequence[NewCapture]) -> dict[str, str]:
    """The captures that exist already: their ids, and the fingerprints of their requests."""
    ids = sorted({one.request.id for one in asked})
    found = transaction.read(CaptureRow, _KNOWN, {"ids": ids})
    return {row.id: row.fingerprint for row in found}


def _objection(
    row: ChargeRow | None, one: NewCapture, known: str | None, limits: Mapping[str, MoneyLimits]
) -> Refused | None:
    if known is not None and known != one.request.fingerprint:
        return KeyReused(param="idempotency_key")
    if known is None and one.request.against is not None:
        return refusal_of(one.request.against)
    if row is None or not one.access.sees(owner(row)):
        return NotFound("there is no charge with this id", param="charge_id")
    if (why := _why_not(row)) is not None:
        return ChargeNotCapturable(why, param="charge_id", state=row.state)
    left = row.amount - (row.amount_captured or 0)
    if one.request.amount is not None and one.request.amount > left:
        return CaptureExceedsCharge(
            f"{in_words(left, row.currency or '')} of the charge is left to capture",
            param="amount",
            available=left,
            requested=one.request.amount,
        )
    try:
        judge(
            one.request,
            processor=row.processor,
            limits=limits.get(row.processor, ANYTHING),
            amount=one.request.amount,
            currency=row.currency,
        )
    except Refused as refused:
        return refused
    return None


def _why_not(row: ChargeRow) -> str | None:
    """Why nothing can be captured of it now; None if it can."""
    if row.capture != "manual":
        return "the charge is captured by itself; ask for `capture: manual` to do it by hand"
    if row.state == State.SUCCEEDED:
        return "the charge has been captured; what was left of it was let go of"
    if row.state == State.FAILED:
        return f"the charge has failed ({row.failure_code}); its money is not set aside any more"
    if row.cancel_requested_at is not None:
        return "the charge is being canceled"
    if is_capturing(row):
        return "another capture of this charge is under way; wait until its outcome is known"
    if row.phase != Phase.AUTHORIZED:
        return f"the charge is not authorized yet; it is {row.phase}"
    return None


def _write_down(transaction: Transaction, row: ChargeRow, one: NewCapture) -> bool:
    """Write the capture; False if its key exists already."""
    request = one.request
    new = {
        "id": request.id,
        "charge_id": row.id,
        "producer": request.producer,
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "request_id": one.request_id,
        "amount": _amount(row, one),
        "final": request.final,
    }
    return transaction.execute(_INSERT, new).first() is not None


def _queue(transaction: Transaction, row: ChargeRow, one: NewCapture) -> ChargeRow:
    """The charge, queued for this capture."""
    what = in_words(_amount(row, one), row.currency or "")
    queued = Move(
        row,
        Phase.QUEUED,
        verb="capture",
        outcome="requested",
        detail=f"{what}{'' if one.request.final else ', not final'}",
        actor=audit_log.acting_in(transaction, one.acting).name,
        extra_attempt=True,
        next_in_s=0.0,
        # The capture's own: each operation has its own key at the processor, which is remembered
        # from its first call.
        is_unsent=True,
    )
    transaction.wakes.charges.add(row.id)
    return move(transaction, CHARGE, [queued])[row.id]


def _action(was: ChargeRow, row: ChargeRow, one: NewCapture) -> Action:
    after = {**standing(row), "amount": _amount(was, one), "final": one.request.final}
    return Action("charge.capture", row.id, standing(was), after, one.acting)


def _amount(row: ChargeRow, one: NewCapture) -> int:
    left = row.amount - (row.amount_captured or 0)
    return left if one.request.amount is None else one.request.amount


# --- The statements, built once ---

_t, _captures = CHARGE.table, table_of(Capture)
_OWNERS = select(_t.c.id, _t.c.producer).where(id_among(_t.c.id))
_KNOWN = select(_captures).where(id_among(_captures.c.id))
_INSERT = (
    insert(_captures)
    .on_conflict_do_nothing(index_elements=[_captures.c.id])
    .returning(_captures.c.id)
)
_to_warn = select(_t.c.id).where(
    # Written out, to match the partial index.
    _t.c.phase == literal(Phase.AUTHORIZED.value, literal_execute=True),
    _t.c.capture_warned_at.is_(None),
    _t.c.capture_before <= func.now() + WARNED_BEFORE,
    _t.c.cancel_requested_at.is_(None),
)
# Whether `warn_of_expiry` would find any.
ANY_TO_WARN = _to_warn.exists()
_ending = (
    _to_warn.order_by(_t.c.capture_before)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
    # A CTE is evaluated once; a subquery may be evaluated again and lock more than the limit.
    .cte("ending")
)
_WARN = (
    update(_t)
    .where(_t.c.id == _ending.c.id)
    .values(sequence=_t.c.sequence + 1, capture_warned_at=func.now())
    .returning(_t, func.now().label("now"))
)
