"""Charges that are written with one statement, which commits by itself.

This works for nearly all charges over HTTP: they name an amount, no rule refuses them, their keys
and references are new, no endpoint asked for their pending event, and the caller's key was looked
up a moment ago. The statement checks whether the last three still hold, and leaves out the charges
for which they don't. Those need a transaction (`charges.accept`), which also finds the reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Float, String, func, not_, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from models.base import as_rows, given
from models.rows import ApiKeyRow, ChargeRow, row_of
from models.states import Phase, State
from payments.access.keys import is_unchanged
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import NewCharge, as_asked, judge_terms
from payments.lifecycle.accepting.charge_rows import GIVEN, asked_columns, times
from payments.lifecycle.accepting.pending_events import is_subscribed_to
from payments.processors.processor_limits import MoneyLimits
from payments.transaction import Transaction


def columns(
    new: NewCharge, key: ApiKeyRow, limits: Mapping[str, MoneyLimits]
) -> dict[str, Any] | None:
    """A row for `insert`, requested with this key; None for a charge by price. Raises Refused if
    the rules don't allow the charge, should it be new."""
    terms = as_asked(new.request)
    if terms is None:
        return None
    judge_terms(new, terms, limits)
    return {
        **_QUEUED,
        **asked_columns(new, terms),
        # Counted from 0 if the charge is captured by hand.
        "amount_captured": 0 if new.request.capture == "manual" else None,
        "key_id": key.id,
        "key_version": key.version,
    }


def insert(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> dict[str, ChargeRow]:
    """Write the charges that need no transaction, and wake a worker for what is due. Ids and
    references must not repeat within `rows`. Returns the written rows by id."""
    asked = {row["id"]: row for row in rows}
    inserted = {}
    for found in transaction.execute(_INSERT, {"new": as_rows(rows)}):
        values = {**asked[found.id], **found._mapping}  # noqa: SLF001  # public, in spite of its name
        inserted[found.id] = _row(map(values.get, _NAMES))
        if found.woken_at is not None:
            transaction.wakes.charges.add(found.id)
    return inserted


# --- The statement, built once. Columns known here are not read back: reading costs as much ---

_t = CHARGE.table
_row, _NAMES = row_of(_t, "now"), (*_t.c.keys(), "now")
_QUEUED: Mapping[str, Any] = {
    **{
        column.name: column.default.arg
        for column in _t.c
        if isinstance(column.default, ScalarElementColumnDefault)
    },
    "state": State.PENDING.value,
    "phase": Phase.QUEUED.value,
}
_given_names = tuple(dict.fromkeys([*GIVEN, *_QUEUED, "amount_captured"]))
_new = given(
    "new",
    [
        *(_t.c[name] for name in _given_names),
        Column("expires_in_s", Float),
        Column("key_id", String),
        Column("key_version", String),
    ],
)
_values: dict[str, Any] = {
    **{name: _new.c[name] for name in _given_names},
    **times(_new),
}
_INSERT = (
    postgresql.insert(_t)
    .from_select(
        list(_values),
        select(*_values.values())
        .where(
            is_unchanged(_new.c.key_id, _new.c.key_version), not_(is_subscribed_to(CHARGE, _new))
        )
        .order_by(_new.c.id),
    )
    .on_conflict_do_nothing()
    .returning(
        *(_t.c[name] for name in ("id", "metadata", "created_at")),
        *(_t.c[name] for name in ("next_attempt_at", "woken_at", "expires_at")),
        func.now().label("now"),
    )
)
