"""The secrets: whether they are encrypted in the database, and whether our keys open them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from cli.doctor.findings import Finding, fail, ok, some, warn
from cli.doctor.work import BEAT
from payments.webhooks import sealed
from service.settings import Settings
from service.settings_errors import SettingsError
from service.wiring import vault as vault_of

SUBJECT = "secrets"
# How many unreadable secrets are named.
NAMED_MAX = 3


def encryption(connection: Connection, settings: Settings) -> Iterable[Finding]:
    """Whether secrets can be read with our keys, and only with them."""
    try:
        vault = vault_of(settings)
    except SettingsError as error:
        yield fail(SUBJECT, str(error), "set it where the processes get their environment")
        return
    findings = [
        *_unreadable(sealed.unreadable(connection, vault)),
        *_stale(sealed.kept(connection), vault.key_ids),
    ]
    yield from findings or [ok(SUBJECT, f"encrypted with the key {vault.key_ids[0]}")]


def _unreadable(reasons: list[str]) -> Iterable[Finding]:
    advice = (
        "nothing is sent there: put the missing key back into BILLING_ENCRYPTION_KEYS, or give the"
        " endpoint a new secret (`billing endpoint rotate`)"
    )
    for reason in reasons[:NAMED_MAX]:
        yield fail(SUBJECT, reason, advice)
    if (more := len(reasons) - NAMED_MAX) > 0:
        yield fail(SUBJECT, f"{more} more can't be opened", advice)


def _stale(kept: Iterable[sealed.Kept], key_ids: Sequence[str]) -> Iterable[Finding]:
    """What a sweep has still to encrypt; it comes once a minute."""
    for one in kept:
        whose = f"of {some(one.endpoints, 'endpoint')}"
        if one.key_id is None:
            yield warn(SUBJECT, f"those {whose} are not encrypted yet", BEAT)
        elif one.key_id in key_ids[1:]:
            seen = f"those {whose} need the older key {one.key_id}: leave it in the settings"
            yield warn(SUBJECT, seen, BEAT)
