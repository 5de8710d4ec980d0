"""Repairs the differences that are certainly safe to repair, in the form of processor reports.

Nothing here writes a state: `payments.lifecycle.reports` judges each like an event, under the row's
lock and in its state by then. So a repair moves no money, and repeating it changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from models.rows import LifecycleRow
from models.states import State
from payments.access import audit_log
from payments.access.audit_log import Action
from payments.audit.reconcile.differences import Difference
from payments.kinds import KINDS
from payments.lifecycle import reports
from payments.lifecycle.backoff import Dice
from payments.lifecycle.payment_queries import some
from payments.lifecycle.settlement import Policy
from payments.processors.outcomes import Succeeded
from payments.processors.port import ProcessorEvent
from payments.transaction import Database, Transaction
from payments.views import standing

# Per transaction.
BATCH = 50
NOT_ANY_MORE = "left: it has changed since, or a report may not change it"


def repaired(
    database: Database,
    differences: Iterable[Difference],
    *,
    processor: str,
    policy: Policy,
    dice: Dice,
) -> Iterator[Difference]:
    """Yields the differences, after repairing those that can be."""
    rest = iter(differences)
    while batch := list(islice(rest, BATCH)):
        with database.transaction() as transaction:
            mended = _report(transaction, batch, processor=processor, policy=policy, dice=dice)
        for one in batch:
            if one.remedy is None:
                yield one
            elif one.object_id in mended:
                yield replace(one, is_repaired=True)
            else:
                yield replace(one, left_because=NOT_ANY_MORE)


def _report(
    transaction: Transaction,
    differences: Sequence[Difference],
    *,
    processor: str,
    policy: Policy,
    dice: Dice,
) -> set[str]:
    """Apply the missing reports; returns the ids of those whose state now agrees with the
    processor's."""
    events = [
        ProcessorEvent(one.object_id, one.kind, one.remedy)
        for one in differences
        if one.remedy is not None and one.object_id is not None and one.kind != "payout"
    ]
    if not events:
        return set()
    was = _standing(transaction, [event.object_id for event in events])
    reports.apply(transaction, events, processor=processor, policy=policy, dice=dice)
    wanted = {
        event.object_id: State.SUCCEEDED if isinstance(event.outcome, Succeeded) else State.FAILED
        for event in events
    }
    rows = _standing(transaction, list(wanted))
    mended = {id_ for id_, row in rows.items() if row.state == wanted[id_]}
    actions = [
        Action(f"{one.kind}.repair", id_, standing(was[id_]), standing(rows[id_]))
        for one in events
        if (id_ := one.object_id) in mended
    ]
    audit_log.record_all(transaction, actions)
    return mended


def _standing(transaction: Transaction, ids: Sequence[str]) -> dict[str, LifecycleRow]:
    """The charges and refunds with these ids, in their present state."""
    return {
        id_: row
        for kind in KINDS.values()
        for id_, row in some(transaction.connection, kind, ids).items()
    }
