"""The basis of all tables: constraint names, column types, and tables of given rows."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Identity,
    Interval,
    String,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlmodel import Field, SQLModel

# Constraints have stable names, so that migrations and error handling can refer to them.
SQLModel.metadata.naming_convention = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

# Tables whose rows are never changed or deleted. Each has a trigger that refuses it
# (`refuse_to_change_history` of migrations 0040 and 0043), and the role of the service has no
# permission for it (`service.database.roles`).
APPEND_ONLY = (
    "audit_log",
    "ledger_books",
    "ledger_postings",
    "ledger_seals",
    "ledger_balances",
)

# Views, which are only read.
VIEWS = ("ledger_entries",)

Timestamp = DateTime(timezone=True)


def timestamp(
    *, default_now: bool = False, when_written: bool = False, nullable: bool = True
) -> Any:
    """A `timestamptz` field; its clock is the database's, never a worker's.

    `default_now` is the moment at which the transaction began, `when_written` the one at which the
    row is written (`payments.history.settled` explains why).
    """
    kwargs: dict[str, Any] = {"nullable": nullable}
    if default_now or when_written:
        kwargs["server_default"] = func.clock_timestamp() if when_written else func.now()
    return Field(default=None, sa_type=Timestamp, sa_column_kwargs=kwargs)


def big_identity() -> Any:
    """A `bigint` primary key from a sequence."""
    return Field(
        default=None,
        sa_type=BigInteger,
        primary_key=True,
        sa_column_kwargs={"server_default": Identity(always=True)},
    )


def table_of(model: type[SQLModel]) -> Table:
    """The Core table of a SQLModel class, for multi-row statements."""
    return model.__table__  # type: ignore[attr-defined,no-any-return]


def given(name: str, columns: Sequence[Column[Any]]) -> TableValuedAlias:
    """A table made of one JSON parameter, so that a statement over N rows has one bind value.

    `columns` are columns of real tables: their names and types are taken over. The statement is
    executed with `{name: as_rows([...])}`. One parameter instead of N × columns keeps the
    statement cacheable for every N and costs the client one JSON text.
    """
    return (
        func.json_to_recordset(cast(bindparam(name, type_=Text), JSON))
        .table_valued(*(column(c.name, c.type) for c in columns), name=name)
        .render_derived(with_types=True)
    )


def id_among(column: Any) -> ColumnElement[bool]:
    """`column = ANY(:ids)`: one array parameter, so the statement is the same for every N."""
    return column == func.any(bindparam("ids", type_=ARRAY(String)))  # type: ignore[no-any-return]


def seconds(value: Any) -> ColumnElement[Any]:
    """A number of seconds as an SQL interval; NULL for NULL."""
    return value * literal(timedelta(seconds=1), Interval)  # type: ignore[no-any-return]


def json_text(value: Any) -> str:
    """A value as JSON without spaces, its text as it is; moments as RFC 3339, other values as text.

    What orjson refuses (a number beyond 64 bits, half of a surrogate pair) the standard library
    writes, in ASCII.
    """
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError:
        return json.dumps(value, separators=(",", ":"), default=_plain)


# Rows as the text that `given` takes.
as_rows = json_text


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
