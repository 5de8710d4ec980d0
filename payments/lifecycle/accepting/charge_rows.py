"""The row of a charge on acceptance: queued, leased at once, or due later."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Column, ColumnElement, Float, FromClause, and_, case, func, literal, select
from sqlalchemy.dialects import postgresql

from infra.billing.contract.requests.charge_request import ChargeRequest
from models.base import as_rows, given, seconds
from models.rows import ChargeRow
from models.states import Phase, State
from payments.catalog.quotes import Terms
from payments.kinds import CHARGE
from payments.lifecycle.accepting.asked import NewCharge
from payments.lifecycle.accepting.pending_events import first_sequence
from payments.transaction import Transaction


def insert(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> dict[str, ChargeRow]:
    """Write the rows whose id is new and whose reference is free; return them by id, with the
    database's `now`. A row that is due and has a lease is claimed with it."""
    written = transaction.read(ChargeRow, _INSERT, {"new": as_rows(rows)})
    return {row.id: row for row in written}


def columns(new: NewCharge, terms: Terms) -> dict[str, Any]:
    """A row for `insert`."""
    lease = new.lease
    return {
        **asked_columns(new, terms),
        "token": lease and lease.token,
        "lease_s": lease and lease.seconds,
        "worker": lease and lease.worker,
    }


def asked_columns(new: NewCharge, terms: Terms) -> dict[str, Any]:
    """The columns that hold the request."""
    request = new.request
    return {
        **{name: getattr(request, name) for name in _OF_REQUEST},
        **{name: getattr(terms, name) for name in _OF_TERMS},
        **{name: getattr(new, name) for name in _OF_DOOR},
        "id": request.id,
        "fingerprint": request.fingerprint,
        "scheduled_at": new.timing.not_before or request.scheduled_at,
        "expires_in_s": request.expires_in_s,
    }


def times(new: FromClause) -> dict[str, ColumnElement[Any]]:
    """When these rows are due and when they expire, as SQL."""
    due_at = _due_at(new)
    return {
        "next_attempt_at": due_at,
        # The door also wakes a worker, so the sweep need not, unless the charge is due later.
        "woken_at": case((due_at <= func.now(), func.now())),
        # The maximum wait counts from the moment at which the charge is to be made.
        "expires_at": due_at + seconds(new.c.expires_in_s),
    }


def _due_at(new: FromClause) -> ColumnElement[Any]:
    """When it is due: now, if that moment has passed."""
    return func.greatest(func.coalesce(new.c.scheduled_at, func.now()), func.now())


# --- The statement, built once ---

_t = CHARGE.table
_OF_TERMS = tuple(field.name for field in fields(Terms))
_OF_DOOR = ("request_id", "traceparent", "processor", "livemode")
# Every field of a request that has a column is written as it came, new fields included.
_OF_REQUEST = tuple(
    name
    for name in ChargeRequest.model_fields
    if name in _t.c and name not in (*_OF_TERMS, "scheduled_at")
)
GIVEN = (*_OF_REQUEST, *_OF_TERMS, *_OF_DOOR, "id", "fingerprint", "scheduled_at")
_new = given(
    "new",
    [
        *(_t.c[name] for name in GIVEN),
        Column("expires_in_s", Float),
        Column("token", _t.c.lease_token.type),
        Column("lease_s", Float),
        _t.c.worker,
    ],
)
_leased = and_(_new.c.token.is_not(None), _due_at(_new) <= func.now())
_values: dict[str, Any] = {
    **{name: _new.c[name] for name in GIVEN},
    "state": literal(State.PENDING.value),
    "phase": case((_leased, Phase.IN_FLIGHT.value), else_=Phase.QUEUED.value),
    # Counted from 0 if the charge is captured by hand.
    "amount_captured": case((_new.c.capture == "manual", 0)),
    "sequence": first_sequence(CHARGE, _new),
    "attempts": case((_leased, 1), else_=0),
    **times(_new),
    "lease_token": case((_leased, _new.c.token)),
    "worker": case((_leased, _new.c.worker)),
    "lease_expires_at": case((_leased, func.now() + seconds(_new.c.lease_s))),
    "leased_at": case((_leased, func.now())),
    "first_called_at": case((_leased, func.now())),
}
_INSERT = (
    postgresql.insert(_t)
    .from_select(list(_values), select(*_values.values()).order_by(_new.c.id))
    .on_conflict_do_nothing()
    .returning(_t, func.now().label("now"))
)
