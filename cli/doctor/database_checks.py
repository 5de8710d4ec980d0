"""The part of the doctor's rounds that needs the database, in one go on one connection."""

from collections.abc import Callable, Collection, Iterable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from cli.doctor import database, receivers, work
from cli.doctor.findings import Finding, fail
from cli.doctor.rounds import broken
from service.database import diagnosis
from service.database.database_url import place


def look(url: str, processors: Collection[str]) -> Iterable[Finding]:
    """Everything that the database can tell. `processors` are the names of those there are."""
    try:
        with database.connected(url) as connection:
            yield from _all_of_it(connection, url, processors)
    except OperationalError as error:
        advice = "start it, or mend BILLING_DATABASE_URL; nothing else could be asked of it"
        yield fail("database", f"{place(url)}: {diagnosis.reason(error)}", advice)


def _all_of_it(connection: Connection, url: str, processors: Collection[str]) -> Iterable[Finding]:
    yield from database.server(connection, url)
    state = list(database.migrations(connection))
    yield from state
    is_current = all(finding.level != "fail" for finding in state)
    for subject, check in (
        ("pooler", database.pooler),
        ("clock", database.clock),
        ("durability", database.durability),
        ("connections", database.connections),
    ):
        yield from _guarded(subject, check, connection)
    if not is_current:
        return  # without its tables there is nothing to look at

    swept: list[bool] = []

    def sweeper(connection: Connection) -> Iterable[Finding]:
        findings = list(work.sweeper(connection, processors))
        swept.append(findings[0].level == "ok")
        return findings

    def webhooks(connection: Connection) -> Iterable[Finding]:
        return receivers.webhooks(connection, is_swept=swept == [True])

    def at_processors(connection: Connection) -> Iterable[Finding]:
        return work.at_processors(connection, processors)

    for subject, check in (
        ("sweeper", sweeper),
        ("processors", at_processors),
        ("pending", work.pending),
        ("webhooks", webhooks),
        ("quarantine", work.quarantine),
    ):
        yield from _guarded(subject, check, connection)


def _guarded(
    subject: str, check: Callable[[Connection], Iterable[Finding]], connection: Connection
) -> Iterable[Finding]:
    """One check. That it took too long, or may not be asked, is a finding, too."""
    try:
        yield from check(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        yield fail(subject, broken(error), "see how busy the database is, and what its role may do")
