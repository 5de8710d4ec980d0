"""Retention: how long each kind of row is kept, how old the oldest is, and whether sweeps run."""

from collections.abc import Iterable

from sqlalchemy import Connection

from cli.doctor.findings import Finding, ago, ok, some, warn
from cli.doctor.work import BEAT
from payments.audit import health
from payments.keeping.retention import Keep, oldest_s

SUBJECT = "retention"
# A sweep comes every second; a database that was away for an hour is reported elsewhere.
SWEPT_S = 3600.0


def kept(connection: Connection, keep: Keep) -> Iterable[Finding]:
    """What the settings keep, and what is there."""
    seen = "; ".join(_told(keep, oldest_s(connection)))
    if not any(getattr(keep, name) for name in Keep.__slots__):
        yield ok(SUBJECT, seen)
        return
    ago_s = health.swept_ago_s(connection, "retention")
    if ago_s is None:
        yield warn(SUBJECT, f"nobody has ever deleted what is old: {seen}", BEAT)
    elif ago_s > SWEPT_S:
        yield warn(SUBJECT, f"nobody deleted what is old for {ago(ago_s)}: {seen}", BEAT)
    else:
        yield ok(SUBJECT, seen)


def _told(keep: Keep, oldest: dict[str, float | None]) -> Iterable[str]:
    for name, age_s in oldest.items():
        days = getattr(keep, name)
        for_long = f"for {some(days, 'day')}" if days else "for ever"
        there = "none there" if age_s is None else f"the oldest {ago(age_s)} old"
        yield f"{name.replace('_', ' ')} {for_long}, {there}"
