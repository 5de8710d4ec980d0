"""Charges and refunds as rules read them: frozen rows, typed by the classes of their tables.

At run time they are SQLAlchemy's own rows, which have the columns that were read as attributes and
can't be changed. For mypy they are the table's class, with the moment of the database's clock at
which the transaction began that read them.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Row

from models.charges import Charge
from models.lifecycle import Lifecycle
from models.refunds import Refund

if TYPE_CHECKING:

    class LifecycleRow(Lifecycle):
        """A row of either table."""

        metadata: dict[str, str]  # type: ignore[assignment,misc]  # the column's own name
        now: datetime

    class ChargeRow(Charge, LifecycleRow):
        """A row of `charges`."""

    class RefundRow(Refund, LifecycleRow):
        """A row of `refunds`."""

else:
    LifecycleRow = ChargeRow = RefundRow = Row


def as_charge(row: LifecycleRow) -> ChargeRow:
    """The row of a charge, where only the kind that stands beside it says that it is one."""
    return cast(ChargeRow, row)


def as_refund(row: LifecycleRow) -> RefundRow:
    """The row of a refund, likewise."""
    return cast(RefundRow, row)


def columns_of(row: Any) -> dict[str, Any]:
    """The row by the names of its columns, for what works on any of them."""
    return dict(row._mapping)  # noqa: SLF001  # public, in spite of its name
