"""Reading what waits for a second person, and what was decided: newest first."""

from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, func, literal, select

from infra.billing.contract.ids import APPROVAL_PREFIX, is_id
from infra.billing.contract.objects import Approval as Shown
from infra.billing.contract.texts import is_storable
from infra.billing.contract.words import ApprovalState
from models import Approval
from models.base import table_of
from models.rows import ApprovalRow
from payments.paging import Listing
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import first
from payments.views import view_of

FILTERS = ("state", "object_id")
STATES = get_args(ApprovalState)
# Waiting requests are counted up to this number.
COUNT_MAX = 1000

view = view_of(Shown)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait for a second person (COUNT_MAX at most), and for how long the oldest has
    waited."""

    count: int
    oldest_s: float


def get(connection: Connection, id_: str) -> ApprovalRow:
    """The approval with this id. Raises NotFound."""
    found = None
    if is_id(id_, APPROVAL_PREFIX):
        found = first(connection, ApprovalRow, select(_t).where(_t.c.id == id_))
    if found is None:
        raise NotFound("there is no approval with this id", param="id")
    return found


def waiting(connection: Connection) -> Waiting:
    """What waits for a second person."""
    row = connection.execute(_WAITING).one()
    return Waiting(row.number, float(row.oldest_s or 0.0))


def _condition(name: str, value: Any) -> ColumnElement[bool]:
    if name == "state" and value not in STATES:
        raise InvalidRequest(f"state must be one of {', '.join(STATES)}", param=name)
    if not is_storable(value):
        raise InvalidRequest(f"{name} holds control characters", param=name)
    # The states are written out, not a parameter: a generic plan can't use the partial index.
    said = literal(value, literal_execute=True) if name == "state" else value
    return _t.c[name] == said


_t = table_of(Approval)
TABLE = _t.name
_LISTING = Listing(ApprovalRow, _t, APPROVAL_PREFIX, FILTERS, _condition)
page, every = _LISTING.page, _LISTING.every
_open = (
    select(_t.c.created_at)
    .where(_t.c.state == literal("pending", literal_execute=True))
    .order_by(_t.c.created_at)
    .limit(COUNT_MAX)
    .subquery()
)
_WAITING = select(
    func.count().label("number"),
    func.extract("epoch", func.now() - func.min(_open.c.created_at)).label("oldest_s"),
).select_from(_open)
