"""Claiming: who may work on what is due, and until when.

A claim is a lease: a token and an end, by the database's clock. It is taken in a transaction, kept
during the call, and checked by the write that settles the row. The sweep takes back the leases of
workers that died.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Column,
    Float,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from models import Capture
from models.base import as_rows, given, id_among, seconds, table_of
from models.rows import CaptureRow, ChargeRow, LifecycleRow, RefundRow, as_charge, reading
from models.states import Phase, State
from payments.kinds import CHARGE, REFUND, Kind, KindOf, R
from payments.lifecycle.capturing.authorizations import is_capturing
from payments.lifecycle.payment_queries import past_of
from payments.processors.port import Order
from payments.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row until it expires. A new one for every attempt to claim."""

    token: UUID
    seconds: float
    worker: str


def lease(worker: str, lease_s: float) -> Lease:
    return Lease(uuid4(), lease_s, worker)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this worker has leased, and the order for the processor."""

    kind: Kind
    row: LifecycleRow
    token: UUID
    order: Order
    # The name of the processor to call: the row's own, or that of a refund's charge.
    processor: str
    # The capture under way, which the order is for.
    capture: CaptureRow | None = None

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def in_doubt(self) -> bool:
        """Whether the processor must be asked before anything is sent."""
        return self.row.phase != Phase.IN_FLIGHT

    @property
    def verb(self) -> str:
        """What to ask of the processor, unless something is in doubt."""
        return self.kind.name if self.capture is None else "capture"

    @property
    def is_to_end(self) -> bool:
        """Whether the only call that may still be made for it is to cancel it."""
        return self.kind is CHARGE and as_charge(self.row).cancel_requested_at is not None

    @property
    def now(self) -> datetime:
        return self.row.now


@dataclass(frozen=True, slots=True)
class NotDue:
    """The row can't be claimed: it is leased, not due, final, or its processor is not set up here.
    This is how it stands."""

    row: LifecycleRow


def take(
    transaction: Transaction,
    kind: KindOf[R],
    leases: Mapping[str, Lease],
    *,
    processors: Collection[str],
) -> dict[str, R]:
    """Lease the rows that are due and that name one of `processors`; returns them. The others are
    left for a worker that has their processor.

    A locked row is skipped: another transaction is claiming or settling it. A token that already
    holds the lease gets it again, so a claim whose COMMIT got lost can simply be repeated.
    """
    if not leases:
        return {}
    wanted = [
        {"id": id_, "lease_token": one.token, "lease_s": one.seconds, "worker": one.worker}
        for id_, one in sorted(leases.items())
    ]
    parameters = {"wanted": as_rows(wanted), "ids": list(leases), "processors": list(processors)}
    taken = transaction.read(kind.row, _TAKE[kind.name], parameters)
    return {row.id: row for row in taken}


def charge_order(row: ChargeRow) -> Order:
    """The order of a charge: every field of an order that a charge has a column for."""
    return Order(kind="charge", **dict(zip(ORDERED, _ordered(row), strict=True)))


def capture_order(row: CaptureRow, charge: ChargeRow) -> Order:
    """The order of a capture of `charge`."""
    return Order(
        id=row.id,
        kind="capture",
        amount=row.amount,
        currency=charge.currency,
        charge_id=charge.id,
        charge_reference=charge.processor_reference,
        captured_before=charge.amount_captured or 0,
        final=row.final,
        first_sent_at=charge.first_called_at,
    )


def refund_order(row: RefundRow, charge: ChargeRow) -> Order:
    """The order of a refund of `charge`, on which its amount is reserved."""
    assert row.amount is not None, "what is reserved has an amount (a constraint of the table)"
    return Order(
        id=row.id,
        kind="refund",
        amount=row.amount,
        currency=charge.currency,
        customer_id=charge.customer_id,
        payment_method_id=charge.payment_method_id,
        reference=row.processor_reference,
        charge_id=charge.id,
        charge_reference=charge.processor_reference,
        metadata=row.metadata,
        first_sent_at=row.first_called_at,
    )


def claim_charges(
    transaction: Transaction, leases: Mapping[str, Lease], *, processors: Collection[str]
) -> dict[str, Claimed | NotDue]:
    """Claim the charges that are due at one of `processors`; unknown ids are absent from the
    answer."""
    taken = take(transaction, CHARGE, leases, processors=processors)
    captures = captures_under_way(transaction, taken.values())
    past = past_of(transaction, taken.values())
    claims: dict[str, Claimed | NotDue] = {
        id_: _claimed(row, leases[id_].token, captures.get(id_), past.get(id_, {}))
        for id_, row in taken.items()
    }
    return claims | not_due(transaction, CHARGE, [id_ for id_ in leases if id_ not in taken])


def _claimed(
    row: ChargeRow, token: UUID, capture: CaptureRow | None, past: Mapping[str, Any]
) -> Claimed:
    """A charge that is to end is canceled as a whole, without regard to a capture under way."""
    order = replace(charge_order(row), **past)
    if capture is not None and row.cancel_requested_at is None:
        order = capture_order(capture, row)
    return Claimed(CHARGE, row, token, order, row.processor, capture)


def captures_under_way(
    transaction: Transaction, rows: Iterable[ChargeRow]
) -> dict[str, CaptureRow]:
    """The captures under way of these charges, by the ids of the charges."""
    ids = [row.id for row in rows if is_capturing(row)]
    if not ids:
        return {}
    found = transaction.read(CaptureRow, _CAPTURES, {"ids": ids})
    return {one.charge_id: one for one in found}


def not_due(transaction: Transaction, kind: Kind, ids: Sequence[str]) -> dict[str, NotDue]:
    """The state of the rows that could not be claimed."""
    if not ids:
        return {}
    rows = transaction.read(LifecycleRow, _READ[kind.name], {"ids": list(ids)})
    return {row.id: NotDue(row) for row in rows}


# The fields of an order whose column has another name (`reference` of a charge is the caller's
# own).
_COLUMNS = {"reference": "processor_reference", "first_sent_at": "first_called_at"}
# The fields of the order of a charge, each with its column.
ORDERED: Mapping[str, str] = {
    one.name: column
    for one in fields(Order)
    if (column := _COLUMNS.get(one.name, one.name)) in CHARGE.table.c
}
_ordered = reading(*ORDERED.values())


# --- The statements, built once ---


def _take_statement(kind: Kind) -> Any:
    table = kind.table
    wanted = given(
        "wanted", [table.c.id, table.c.lease_token, table.c.worker, Column("lease_s", Float)]
    )
    free = (
        select(table.c.id)
        .where(
            id_among(table.c.id),
            table.c.state == State.PENDING.value,
            table.c.processor == func.any(bindparam("processors", type_=ARRAY(String))),
        )
        .order_by(table.c.id)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("free")
    )
    return (
        update(table)
        .where(
            table.c.id == wanted.c.id,
            table.c.id.in_(select(free.c.id)),
            table.c.state == State.PENDING.value,
            or_(
                table.c.lease_token == wanted.c.lease_token,
                and_(table.c.lease_token.is_(None), table.c.next_attempt_at <= func.now()),
            ),
        )
        .values(
            # A row in doubt keeps its phase: its outcome stays unknown during the look-up.
            phase=case(
                (table.c.phase == Phase.QUEUED.value, Phase.IN_FLIGHT.value), else_=table.c.phase
            ),
            # A claim that is repeated because its COMMIT may have got lost counts once.
            attempts=case(
                (table.c.lease_token == wanted.c.lease_token, table.c.attempts),
                else_=table.c.attempts + 1,
            ),
            lease_token=wanted.c.lease_token,
            lease_expires_at=func.now() + seconds(wanted.c.lease_s),
            leased_at=func.now(),
            worker=wanted.c.worker,
            first_called_at=func.coalesce(table.c.first_called_at, func.now()),
            **(_expired(table) if kind is CHARGE else {}),
        )
        .returning(table, func.now().label("now"))
    )


def _expired(table: Any) -> dict[str, Any]:
    """A row that has expired is claimed to be canceled, even before a sweep finds it."""
    is_over = and_(table.c.cancel_requested_at.is_(None), table.c.expires_at <= func.now())
    ended = {
        "cancel_requested_at": func.now(),
        "cancel_requested_by": "billing",
        "cancel_code": "expired",
    }
    return {name: case((is_over, value), else_=table.c[name]) for name, value in ended.items()}


_TAKE = {kind.name: _take_statement(kind) for kind in (CHARGE, REFUND)}
_captures = table_of(Capture)
_CAPTURES = select(_captures).where(
    id_among(_captures.c.charge_id),
    # Written out, to match the partial index.
    _captures.c.state == literal(State.PENDING.value, literal_execute=True),
)
_READ = {
    kind.name: select(kind.table, func.now().label("now")).where(id_among(kind.table.c.id))
    for kind in (CHARGE, REFUND)
}
