"""Reading disputes: one by its id, or a list page by page, newest first."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from infra.billing.contract.ids import DISPUTE_PREFIX, PREFIXES, is_id
from models import Dispute
from models.base import table_of
from models.rows import DisputeRow
from models.states import DisputeState
from payments.access.scopes import OPERATOR, Access
from payments.paging import Listing, Page
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import read

FILTERS = ("state", "charge_id")


def get(connection: Connection, id_: str, *, access: Access = OPERATOR) -> DisputeRow:
    """The dispute with this id. Raises NotFound, also for what `access` doesn't see."""
    rows: list[DisputeRow] = []
    if is_id(id_, DISPUTE_PREFIX):
        rows = read(connection, DisputeRow, select(_t).where(_t.c.id == id_))
    if not rows or not access.sees(rows[0].producer):
        raise NotFound("there is no dispute with this id", param="id")
    return rows[0]


def page(connection: Connection, *, access: Access = OPERATOR, **asked: Any) -> Page[DisputeRow]:
    """A page of the disputes that `access` sees (`payments.paging`); `filters`: those of FILTERS.
    Raises InvalidRequest."""
    return _LISTING.page(connection, where=access.sees_where(_t.c.producer), **asked)


def _condition(name: str, value: Any) -> ColumnElement[bool]:
    if name == "state" and value not in list(DisputeState):
        raise InvalidRequest(f"state must be one of {', '.join(DisputeState)}", param=name)
    if name == "charge_id" and not is_id(value, PREFIXES["charge"]):
        raise InvalidRequest("charge_id must be the id of a charge (ch_…)", param=name)
    is_so: ColumnElement[bool] = _t.c[name] == value
    return is_so


_t = table_of(Dispute)
TABLE = _t.name
_LISTING = Listing(DisputeRow, _t, DISPUTE_PREFIX, FILTERS, _condition)
every = _LISTING.every
