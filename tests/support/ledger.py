"""The ledger as tests use it: hours that pass, seals, and the five promises it keeps."""

import time
from datetime import timedelta

from sqlalchemy import Engine

from payments.audit.ledgered import LEDGER
from payments.audit.verify import verify
from payments.ledger import days, sealing
from payments.ledger.sealing import Seal
from tests.support.acting import Database

# What a test of sealing takes at most, on a busy machine.
TURN_S = 30.0


def begin_in_this_hour(engine: Engine) -> None:
    """As if the database had been migrated in this hour, of which more than TURN_S is left: what
    happened in an hour that ends meanwhile is sealed sooner than a test thinks, and the template of
    the tests' databases was made when they began, which may be an hour ago."""
    left_s = 3600 - time.time() % 3600
    if left_s < TURN_S:
        time.sleep(left_s + 0.1)
    _begin(engine, "date_trunc('hour', now(), 'UTC')")


def an_hour_passes(engine: Engine) -> None:
    """Everything in the ledger happened an hour earlier; only before anything was sealed."""
    _begin(engine, "date_trunc('hour', now(), 'UTC') - interval '1 hour'")
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE ledger_postings SET at = at - interval '1 hour'")


def _begin(engine: Engine, moment: str) -> None:
    """The ledger's first seal, which its migration makes, is of `moment`."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        (seals,) = connection.exec_driver_sql("SELECT count(*) FROM ledger_seals").one()
        assert seals == 1, "something was sealed already"
        connection.exec_driver_sql(f"UPDATE ledger_seals SET until = {moment}")
        connection.exec_driver_sql(f"UPDATE ledger_days_counted SET until = {moment}")


def seal_all(
    database: Database, *, part: int = sealing.PART, every: timedelta = sealing.HOUR
) -> list[Seal]:
    """Seal what can be sealed, and count what its days brought."""
    seals = []
    while True:
        with database.transaction() as transaction:
            made = sealing.seal(transaction, part=part, every=every)
        if made is None:
            break
        seals.append(made)
    count_days(database)
    return seals


def count_days(database: Database) -> None:
    """Count what the days of all seals brought."""
    while True:
        with database.transaction() as transaction:
            if not days.count(transaction):
                return


def broken(engine: Engine) -> list[str]:
    """What of the ledger's promises is not kept: name, id, and in which way."""
    return [
        f"{one.invariant.name}: {offender.id} {offender.detail}"
        for one in verify(engine, statements={}, invariants=LEDGER)
        for offender in one.offenders
    ]
