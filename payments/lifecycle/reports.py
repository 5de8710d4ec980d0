"""Applying what a processor reports by itself.

The rules are those for an answer: `decide` makes the move, unless the row already stands where the
report says, or no report can move it.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import bindparam, func, update

from models.base import id_among
from models.rows import CaptureRow, ChargeRow, LifecycleRow, as_charge, as_refund
from models.states import Phase, State, status_of
from payments.access.scopes import owner
from payments.catalog.stock import hold_prices_of
from payments.disputes import reported
from payments.kinds import CHARGE, KINDS, REFUND
from payments.ledger.postings import Change, post
from payments.lifecycle.accepting.found_refunds import record
from payments.lifecycle.backoff import Dice
from payments.lifecycle.capturing.authorizations import is_by_hand, is_old_news
from payments.lifecycle.claims import captures_under_way
from payments.lifecycle.locks import hold_charges, locked
from payments.lifecycle.moving.move_events import asks_otherwise
from payments.lifecycle.moving.moves import Move, move
from payments.lifecycle.payment_queries import fingerprints, some
from payments.lifecycle.settlement import Policy, decide
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    Disputed,
    Fees,
    Outcome,
    Pending,
    Succeeded,
)
from payments.processors.port import FoundRefund, ProcessorEvent
from payments.transaction import Transaction
from payments.views import charge_view
from payments.webhooks.outbox import Fact, publish

log = logging.getLogger(__name__)


def apply(
    transaction: Transaction,
    events: Sequence[ProcessorEvent],
    *,
    processor: str,
    policy: Policy,
    dice: Dice,
) -> int:
    """Apply the reports of the processor of this name; returns how many moved something.

    A processor is believed about its own charges and refunds only.

    A report may come while a worker still waits for its answer (webhooks overtake responses): it
    moves the row, and the worker's own answer then finds its lease gone. A report that the table of
    moves does not allow changes nothing: what is final stays so.

    Reports of a waiting charge come in any order: one with another action for its customer may be
    older than what is known. Such a charge is looked up at once.
    """
    moved, doubtful = 0, []
    # A row that doesn't exist yet was never sent. If it is written while we wait here, its price
    # would not be locked before it.
    known = {
        name: fingerprints(transaction.connection, kind, [e.object_id for e in events])
        for name, kind in KINDS.items()
    }
    contested = [e for e in events if e.kind == "dispute" and e.object_id in known["charge"]]
    events = [e for e in events if e.kind != "dispute" and e.object_id in known[e.kind]]
    ids = {name: list(known[name]) for name in KINDS}
    hold_prices_of(transaction, charges=ids["charge"], refunds=ids["refund"])
    charges = hold_charges(transaction, ids=ids["charge"], of_refunds=ids["refund"])
    refunds = locked(transaction, REFUND, ids["refund"])
    captures = captures_under_way(transaction, charges.values())
    rows: dict[str, LifecycleRow] = {**charges, **refunds}
    # One at a time: the second report of an object builds on what the first one wrote.
    for event in sorted(events, key=lambda event: event.kind):
        if event.kind == "dispute" or isinstance(event.outcome, Disputed):
            continue
        kind, row = KINDS[event.kind], rows.get(event.object_id)
        capture = captures.get(event.object_id)
        if row is None or not _counts(row, event.outcome, capture, processor):
            continue
        one = decide(row, event.outcome, verb="report", policy=policy, dice=dice, capture=capture)
        if one.to not in kind.moves[status_of(row.state, row.phase)]:
            changed = _of_what_is_final(transaction, one)
            rows |= changed
            moved += len(changed)
            continue
        if isinstance(one.to, Phase) and row.phase == one.to:
            if kind is CHARGE and (asks_otherwise(one) or _takes_otherwise(one)):
                doubtful.append(row.id)
            continue
        report = replace(one, extra_attempt=True, actor=processor)
        rows |= move(transaction, kind, [report])
        captures.pop(row.id, None)
        moved += 1
    ours = {id_: row for id_, row in charges.items() if row.processor == processor}
    moved += reported.apply(transaction, contested, ours)
    if doubtful:
        due = transaction.execute(_LOOK_UP_NOW, {"ids": doubtful}).scalars()
        transaction.wakes.charges.update(due)
    return moved


def _counts(
    row: LifecycleRow, outcome: Outcome, capture: CaptureRow | None, processor: str
) -> bool:
    """Whether a report can say anything about this row."""
    if not isinstance(outcome, _TELLING):
        return False
    if row.first_called_at is None and getattr(row, "authorized_at", None) is None:
        return False  # It was never sent, so this can't be about it.
    if row.processor != processor:
        log.warning("%s is at %s; a report of %s changes nothing", row.id, row.processor, processor)
        return False
    return not (is_by_hand(row) and is_old_news(as_charge(row), outcome, capture))


def _of_what_is_final(transaction: Transaction, one: Move) -> dict[str, LifecycleRow]:
    """Handle a report that is no move; returns the row, by its id, if it brought anything new."""
    row = one.row
    if one.fees is not None and row.state == one.to:
        return _know_fees(transaction, row, one.fees)
    if isinstance(one.to, State) and row.state not in (State.PENDING, one.to):
        # The only move of a final row is a refund that fails late. This is old news that came
        # again, or a contradiction that `billing verify` shows.
        log.warning("%s is %s; a report that it %s changes nothing", row.id, row.state, one.to)
    return {}


def _know_fees(transaction: Transaction, row: LifecycleRow, fees: Fees) -> dict[str, LifecycleRow]:
    """Write the processor's fees for a charge, and publish them, the first time that they are
    known."""
    known = {"its_id": row.id, **{f"its_{name}": value for name, value in asdict(fees).items()}}
    changed = {one.id: one for one in transaction.read(ChargeRow, _KNOW_FEES, known)}
    post(transaction, "charge", [Change(row, one) for one in changed.values()])
    publish(
        transaction,
        [
            Fact("charge.updated", id_, one.sequence, charge_view(one), one.now, owner(one))
            for id_, one in changed.items()
        ],
    )
    return dict(changed)


def _takes_otherwise(one: Move) -> bool:
    """Whether more was captured of a charge than we know of: by hand, at the processor."""
    return (one.amount_captured or 0) > (as_charge(one.row).amount_captured or 0)


# The outcomes of a report; the others are answers to calls.
_TELLING = (Succeeded, Authorized, Declined, Canceled, Pending)


def _is_of_another(row: LifecycleRow, event: ProcessorEvent) -> bool:
    """Whether the report is not about our own call, though it carries our id: the id was copied, or
    another installation of this service uses the same account and has the same keys."""
    ours = as_charge(row) if event.kind == "charge" else as_refund(row)
    pairs = (
        (getattr(event.outcome, "reference", None), ours.processor_reference),
        (event.amount, ours.amount),
        (event.currency, ours.currency),
    )
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def hear(
    transaction: Transaction,
    heard: ProcessorEvent | FoundRefund,
    *,
    processor: str,
    policy: Policy,
    dice: Dice,
) -> bool:
    """Apply what a processor delivered to its webhook door, if it is about something that exists
    here.

    False: not yet. A processor that shares its account with another installation, or whose event
    was faster than our commit, sends it again later.
    """
    if isinstance(heard, FoundRefund):
        # Before its charge, as everywhere (`payments.lifecycle.locks`).
        hold_prices_of(transaction, charges=[heard.charge_id])
        refund_id = record(transaction, heard, processor=processor)
        if refund_id is None:
            return False
        heard = ProcessorEvent(refund_id, "refund", heard.outcome)
    else:
        kind = CHARGE if heard.kind == "dispute" else KINDS[heard.kind]
        row = some(transaction.connection, kind, [heard.object_id]).get(heard.object_id)
        if row is None:
            return False
        if heard.kind != "dispute" and _is_of_another(row, heard):
            log.warning("%s is another one here; this event changes nothing", row.id)
            return True
    apply(transaction, [heard], processor=processor, policy=policy, dice=dice)
    return True


# The processor's fees are known later than the success.
_KNOW_FEES = (
    update(CHARGE.table)
    .where(CHARGE.table.c.id == bindparam("its_id"), CHARGE.table.c.fee.is_(None))
    .values(
        fee=bindparam("its_fee"),
        net=bindparam("its_net"),
        settlement_currency=bindparam("its_currency"),
        sequence=CHARGE.table.c.sequence + 1,
    )
    .returning(CHARGE.table, func.now().label("now"))
)
# Not while a worker asks already: its answer says when to ask again.
_LOOK_UP_NOW = (
    update(CHARGE.table)
    .where(
        id_among(CHARGE.table.c.id),
        CHARGE.table.c.phase.in_([Phase.AWAITING_CUSTOMER.value, Phase.AUTHORIZED.value]),
        CHARGE.table.c.lease_token.is_(None),
    )
    .values(next_attempt_at=func.now(), woken_at=func.now())
    .returning(CHARGE.table.c.id)
)
