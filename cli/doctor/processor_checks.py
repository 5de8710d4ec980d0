"""The processors: whether those that can be checked answer, accept our credentials, and have a key
of the mode that their charges have."""

from collections.abc import Iterable, Mapping

from sqlalchemy.exc import DBAPIError

from cli.doctor import postgres_checks
from cli.doctor.findings import Finding, fail, ok, some, warn
from payments.audit import outstanding
from payments.processors.port import ChecksItself, Processor
from service.settings import Settings
from service.wiring import processors

# Less than the doctor's own limit for a part.
DEADLINE_S = 5.0
ADVICE = "charges and refunds wait meanwhile; see its dashboard and this service's settings"
MODE = {True: "live", False: "test"}


def look(settings: Settings, database_url: str | None) -> Iterable[Finding]:
    """One finding for each that can be asked, and for each that is used in another mode."""
    named = processors(settings)
    for name, processor in named.items():
        if not isinstance(processor, ChecksItself):
            continue
        wrong = processor.check(deadline_s=DEADLINE_S)
        mode = MODE[processor.livemode]
        yield (
            fail(name, f"it {wrong}", ADVICE) if wrong else ok(name, f"takes our key; {mode} mode")
        )
    if database_url is not None:
        yield from _modes(named, database_url)


def _modes(named: Mapping[str, Processor], database_url: str) -> Iterable[Finding]:
    """Whether a key was taken for one of the other mode."""
    modes = {name: one.livemode for name, one in named.items()}
    try:
        with postgres_checks.connected(database_url) as connection:
            found = outstanding.in_other_mode(connection, modes)
    except DBAPIError:
        return  # which the part of the database tells, with the reason
    for one in found:
        key, theirs = MODE[not one.livemode], MODE[one.livemode]
        advice = f"give workers and web processes its key of {theirs} mode; nothing is sent to it"
        if one.waiting:
            seen = f"{one.waiting} of {theirs} mode pending, and our key is of {key} mode"
            yield fail(one.processor, seen, advice)
        elif one.livemode:
            seen = f"our key is of test mode, and {some(one.newest, 'charge')} of late were live"
            advice = f"if that is a slip, {advice.partition(';')[0]}: refunds of them wait"
            yield warn(one.processor, seen, advice)
