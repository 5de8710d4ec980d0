"""A second processor, as an installed package would bring it: a sandbox with books of its own.

Its books are those of the sandbox in a schema of their own. `plugins` is a folder that must be on
the path of a process that is to know of it, as site-packages is.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Column, Engine, MetaData, Select, Table, create_engine, select, text

from models.base import table_of
from models.sandbox import SandboxEvent, SandboxMovement, SandboxRequest
from payments.processors.port import Movement
from payments.processors.sandbox import Sandbox
from service.settings import Settings

PLUGINS = Path(__file__).with_name("plugins")
NAME = SCHEMA = "second"
BOOKS = [table_of(model).name for model in (SandboxRequest, SandboxMovement, SandboxEvent)]

_LEDGER = Table(
    table_of(SandboxMovement).name,
    MetaData(schema=SCHEMA),
    *(Column(c.name, c.type) for c in table_of(SandboxMovement).c),
)


class Second(Sandbox):
    """The sandbox under another name."""

    def statement(self) -> Select[Any]:
        return select(*(_LEDGER.c[name] for name in Movement.__slots__))


def make(settings: Settings) -> Second:
    """What the entry point names."""
    engine = create_engine(
        settings.database_url, connect_args={"options": f"-c search_path={SCHEMA}"}
    )
    return Second(engine, name=NAME, timeout_ms=settings.sandbox_timeout_ms)


def open_books(engine: Engine) -> None:
    """Make its tables."""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        for name in BOOKS:
            connection.execute(
                text(f"CREATE TABLE {SCHEMA}.{name} (LIKE public.{name} INCLUDING ALL)")
            )
