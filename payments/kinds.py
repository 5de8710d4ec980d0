"""The two kinds of money movement, as data: what differs between a charge and a refund."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from infra.billing.contract.ids import Kind as KindName
from models import Charge, Refund
from models.base import table_of
from models.states import CHARGE_MOVES, REFUND_MOVES, Status
from payments.views import charge_view, refund_view


@dataclass(frozen=True, slots=True)
class Kind:
    name: KindName
    table: Table
    moves: Mapping[Status, frozenset[Status]]
    view: Callable[[Mapping[str, Any]], dict[str, Any]]


CHARGE = Kind("charge", table_of(Charge), CHARGE_MOVES, charge_view)
REFUND = Kind("refund", table_of(Refund), REFUND_MOVES, refund_view)
KINDS: Mapping[KindName, Kind] = {"charge": CHARGE, "refund": REFUND}


def kind_of(object_id: str) -> Kind | None:
    """The kind that an id names by its prefix, or None."""
    return {"ch_": CHARGE, "re_": REFUND}.get(object_id[:3])
