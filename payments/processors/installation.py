"""The name under which an installation's objects are marked at a processor account that several
installations share.

Our ids come from producers and their keys, so two installations may well have the same ones. The
name is kept in the database, and not derived from its address: hosts and URLs change, and under
another name everything sent before would be sent again.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Installation:
    """A row of `installation`."""

    name: str
    named_from: datetime

    def name_of(self, first_sent_at: datetime | None) -> str | None:
        """The name in an order that was first sent then, the same for every attempt; None: it has
        none."""
        is_old = first_sent_at is not None and first_sent_at < self.named_from
        return None if is_old else self.name


class Renamed(Exception):
    """The settings give this installation another name than its database has."""

    def __init__(self, kept: str, wanted: str) -> None:
        super().__init__(f"this database is that of {kept!r}, and the settings say {wanted!r}")
        self.kept, self.wanted = kept, wanted


def installation(connection: Connection, wanted: str | None = None) -> Installation:
    """The installation of this database; `wanted` becomes its name, if it has not been used under
    another one. Raises Renamed."""
    asked = {"wanted": wanted or None}
    for statement in (_MAKE, _USE):
        connection.execute(statement, asked)
    found = Installation(*connection.execute(_READ).one())
    if wanted and wanted != found.name:
        raise Renamed(found.name, wanted)
    return found


_MAKE = text("""
    INSERT INTO installation (one, name, named_from)
    VALUES (true, coalesce(CAST(:wanted AS text),
        'i-' || left(md5(random()::text || clock_timestamp()::text), 12)), to_timestamp(0))
    ON CONFLICT DO NOTHING
""")
_USE = text("""
    UPDATE installation SET name = coalesce(CAST(:wanted AS text), name), used_at = now()
    WHERE used_at IS NULL
""")
_READ = text("SELECT name, named_from FROM installation")
