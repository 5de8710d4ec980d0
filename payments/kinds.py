"""The two kinds of money movement, as data: what differs between a charge and a refund."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Table

from infra.billing.contract.ids import Kind as KindName
from models import Charge, Refund
from models.base import table_of
from models.rows import ChargeRow, LifecycleRow, RefundRow
from models.states import CHARGE_MOVES, REFUND_MOVES, Status
from payments.views import charge_view, refund_view

R = TypeVar("R", bound=LifecycleRow)


@dataclass(frozen=True, slots=True)
class KindOf(Generic[R]):
    """A kind whose rows are read as `row`."""

    name: KindName
    table: Table
    row: type[R]
    moves: Mapping[Status, frozenset[Status]]
    view: Callable[[R], dict[str, Any]]


Kind: TypeAlias = KindOf[Any]
CHARGE = KindOf("charge", table_of(Charge), ChargeRow, CHARGE_MOVES, charge_view)
REFUND = KindOf("refund", table_of(Refund), RefundRow, REFUND_MOVES, refund_view)
KINDS: Mapping[KindName, Kind] = {"charge": CHARGE, "refund": REFUND}


def kind_of(object_id: str) -> Kind | None:
    """The kind that an id names by its prefix, or None."""
    return {"ch_": KINDS["charge"], "re_": KINDS["refund"]}.get(object_id[:3])
