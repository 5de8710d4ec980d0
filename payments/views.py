"""The public form of rows: the same objects in HTTP, webhooks, CLI and SDK.

The objects are declared in the contract (`infra.billing.contract.objects`). A field shows the
column of its name; only exceptions are listed here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

from infra.billing.contract.moments import rfc3339
from infra.billing.contract.objects import Charge, Dispute, Refund, Resource
from infra.billing.contract.objects.object_fields import constant, fields_of, is_moment
from models.rows import ChargeRow, DisputeRow, LifecycleRow, RefundRow, reading
from models.states import State

# The name of another column or attribute, or a function that computes the value.
Source = str | Callable[[Any], Any]
View = Callable[[Any], dict[str, Any]]


def view_of(kind: type[Resource], **sources: Source) -> View:
    """A function that shows a row as an object of this kind; `sources` are fields that are not the
    column of their name. Compiled once: it is faster than a dict written by hand
    (`models.rows.reading`)."""
    return _compiled(kind, reading, sources)


def view_of_value(kind: type[Resource], **sources: Source) -> View:
    """The same for an object with the fields as attributes."""
    return _compiled(kind, attrgetter, sources)


def _compiled(
    kind: type[Resource],
    read: Callable[..., Callable[[Any], Any]],
    sources: Mapping[str, Source],
) -> View:
    fields, name = fields_of(kind), constant(kind)
    if name is not None:
        sources = {**sources, "object": lambda _: name}
    made = {one: make for one, make in sources.items() if callable(make)}
    columns = {one: str(sources.get(one, one)) for one in fields if one not in made}
    # Computed values are filled in afterwards; until then a column stands in their place.
    any_column = next(iter(columns.values()))
    names, values = tuple(fields), read(*(columns.get(one, any_column) for one in fields))
    times = tuple(one for one in columns if is_moment(fields[one]))

    def view(of: Any) -> dict[str, Any]:
        shown = dict(zip(names, values(of), strict=True))
        for one in times:
            if (at := shown[one]) is not None:
                shown[one] = rfc3339(at)
        for one, make in made.items():
            shown[one] = make(of)
        return shown

    return view


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with a `Z`, or None."""
    return None if at is None else rfc3339(at)


def standing(row: LifecycleRow) -> dict[str, Any]:
    """The state of a charge or a refund, without personal data."""
    return {"state": row.state, "phase": row.phase, "failure_code": row.failure_code}


def captured(row: ChargeRow) -> int:
    """The amount captured of a charge so far. For automatic capture this is not counted
    separately."""
    if row.amount_captured is not None:
        return row.amount_captured
    return row.amount if row.state == State.SUCCEEDED else 0


def capturable(row: ChargeRow) -> int:
    """The amount of a charge that is authorized and not captured yet."""
    is_set_aside = row.authorized_at is not None and row.state == State.PENDING
    return row.amount - captured(row) if is_set_aside else 0


charge_view: Callable[[ChargeRow], dict[str, Any]] = view_of(
    Charge,
    charge_id="id",
    amount_captured=captured,
    amount_capturable=capturable,
    refund_pending_amount=lambda row: row.refund_reserved - row.refunded_amount,
)
dispute_view: Callable[[DisputeRow], dict[str, Any]] = view_of(Dispute, dispute_id="id")
refund_view: Callable[[RefundRow], dict[str, Any]] = view_of(Refund, refund_id="id")
