"""The standbys: whether COMMIT waits for one, and whether they keep up.

With asynchronous replication a failover loses what was committed and had not been sent yet; only a
COMMIT that waits for a standby makes an accepted payment survive its primary.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from cli.doctor.findings import Finding, ago, fail, ok, warn

SUBJECT = "replication"
# A segment of WAL: what a standby is behind for a moment, when many rows are written at once.
BEHIND_WARN_BYTES = 16 * 2**20
BEHIND_WARN_S = 10.0

# With these a COMMIT waits for no standby, whatever is named.
WAITS_FOR_NONE = ("off", "local")
# `ANY 1 (a,b)`, `FIRST 2 (a,b)`, `2 (a,b)`: how many must have it. A mere list means the first.
_NUMBER = re.compile(r"\s*(?:ANY|FIRST)?\s*(\d+)\s*\(", re.IGNORECASE)


def standbys(connection: Connection) -> Iterable[Finding]:
    """Whether what is committed is on two servers; says nothing where one is a standby itself."""
    if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        return
    named = str(connection.execute(text("SHOW synchronous_standby_names")).scalar_one()).strip()
    commit = str(connection.execute(text("SHOW synchronous_commit")).scalar_one())
    found = connection.execute(_STANDBYS).all()
    if not named:
        yield _unwaited(found)
        return
    if commit in WAITS_FOR_NONE:
        seen = f"synchronous_commit is {commit}: COMMIT waits for no standby"
        advice = "set it to on, for the service's role and database too: a failover loses payments"
        yield warn(SUBJECT, seen, advice)
    elif (missing := _missing(named, found)) is not None:
        yield missing
    else:
        yield ok(SUBJECT, f"{_following(found)}; COMMIT waits for {_needed(named)} ({named})")
    yield from _late(found)


def _unwaited(found: Sequence[Row[Any]]) -> Finding:
    if not found:
        return ok(SUBJECT, "no standby: what is committed is on one server only")
    advice = (
        "set synchronous_standby_names (under Patroni: synchronous_mode), or a failover loses what"
        " no standby has yet (docs/reference/database.md)"
    )
    return warn(SUBJECT, f"{_following(found)}, and COMMIT waits for none", advice)


def _missing(named: str, found: Sequence[Row[Any]]) -> Finding | None:
    """That COMMIT waits for standbys that are not there, if so."""
    is_told = all(one.is_told for one in found)
    there = sum(one.is_synchronous for one in found) if is_told else len(found)
    needed = _needed(named)
    if there >= needed:
        return None
    seen = f"COMMIT waits for {needed} of {named}, and {there} of them follow"
    return fail(SUBJECT, seen, "bring a standby back: until then nothing is accepted")


def _late(found: Sequence[Row[Any]]) -> Iterable[Finding]:
    for one in found:
        if not one.is_told:
            seen = "PostgreSQL does not tell this role how far standbys are"
            yield warn(SUBJECT, seen, "as an administrator: GRANT pg_monitor TO the service's role")
            return
        if one.behind_bytes > BEHIND_WARN_BYTES or one.behind_s > BEHIND_WARN_S:
            seen = f"{one.name} is {one.behind_bytes / 2**20:.0f} MB and {ago(one.behind_s)} behind"
            advice = "see its disk and its network: a failover to it takes as long as it is behind"
            yield warn(SUBJECT, seen, advice)


def _following(found: Sequence[Row[Any]]) -> str:
    return "1 standby follows" if len(found) == 1 else f"{len(found)} standbys follow"


def _needed(named: str) -> int:
    number = _NUMBER.match(named)
    return int(number[1]) if number else 1


# Without a base backup in progress, and without what reads by logical decoding. To a role without
# pg_read_all_stats all but the process is NULL.
_STANDBYS = text("""
    SELECT r.application_name AS name,
           r.state IS NOT NULL AS is_told,
           coalesce(r.sync_state IN ('sync', 'quorum') AND r.state = 'streaming', false)
               AS is_synchronous,
           coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn), 0)::bigint AS behind_bytes,
           coalesce(extract(epoch FROM r.replay_lag), 0)::float AS behind_s
    FROM pg_stat_replication r
    WHERE r.state IS DISTINCT FROM 'backup'
      AND NOT EXISTS (SELECT FROM pg_replication_slots s
                      WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
    ORDER BY r.application_name
""")
