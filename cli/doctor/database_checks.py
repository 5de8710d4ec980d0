"""The part of the doctor's rounds that needs the database, in one go on one connection."""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from cli.doctor import ages, postgres_checks, receivers, replication, secrets, vacuum, work
from cli.doctor.findings import Finding, fail
from cli.doctor.rounds import broken
from service.database import diagnosis
from service.database.database_url import place
from service.settings import Settings


def look(url: str, settings: Settings) -> Iterable[Finding]:
    """Everything that the database can tell."""
    try:
        with postgres_checks.connected(url) as connection:
            yield from _all_of_it(connection, url, settings)
    except OperationalError as error:
        advice = "start it, or mend BILLING_DATABASE_URL; nothing else could be asked of it"
        yield fail("database", f"{place(url)}: {diagnosis.reason(error)}", advice)


def _all_of_it(connection: Connection, url: str, settings: Settings) -> Iterable[Finding]:
    processors = settings.processors
    yield from postgres_checks.server(connection, url)
    state = list(postgres_checks.migrations(connection))
    yield from state
    is_current = all(finding.level != "fail" for finding in state)
    for subject, check in (
        ("pooler", postgres_checks.pooler),
        ("clock", postgres_checks.clock),
        ("durability", postgres_checks.durability),
        ("replication", replication.standbys),
        ("transactions", vacuum.transactions),
        ("connections", postgres_checks.connections),
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

    def encryption(connection: Connection) -> Iterable[Finding]:
        return secrets.encryption(connection, settings)

    for subject, check in (
        ("dead rows", vacuum.dead_rows),
        ("roles", postgres_checks.roles),
        ("sweeper", sweeper),
        ("processors", at_processors),
        ("pending", work.pending),
        ("webhooks", webhooks),
        ("approvals", work.approvals),
        ("quarantine", work.quarantine),
        ("secrets", encryption),
        ("retention", lambda connection: ages.kept(connection, settings.keep)),
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
