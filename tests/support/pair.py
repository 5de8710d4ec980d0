"""A real pair of PostgreSQL servers: a primary, and a standby that streams from it."""

import shutil
import signal
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from local.embedded.embedded_server import HOST
from local.embedded.postgres import NAME, Postgres
from service.data_dir import write_private
from tests.support.waiting import patience_s, wait_for


class Standby(Postgres):
    """A server that begins as a copy of another, and follows it until it is promoted."""

    def __init__(self, folder: Path, primary: Postgres) -> None:
        super().__init__(folder)
        self._primary = primary
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "password", primary.password)

    def _initialise(self) -> None:
        source = self._primary
        command = [
            str(self.programs / "pg_basebackup"),
            f"--dbname=postgresql://{NAME}:{source.password}@{HOST}:{source.port}/postgres",
            f"--pgdata={self.data}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
        ]
        child = self._run(command, death_signal=signal.SIGKILL)
        assert child.wait(patience_s()) == 0, self.log_tail()


def again_as_standby(old: Postgres, primary: Postgres) -> Standby:
    """What was a primary comes back at its address as a standby of the one that took over."""
    old.stop()
    shutil.rmtree(old.data)
    return Standby(old.folder, primary)


def run(server: Postgres, *statements: str) -> object:
    """Run statements as the administrator; what the last one answers, or None."""
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            return [_one(connection, statement) for statement in statements][-1]
    finally:
        engine.dispose()


def _one(connection: Connection, statement: str) -> object:
    found = connection.execute(text(statement))
    return found.scalar() if found.returns_rows else None


def switch_over(primary: Postgres, standby: Postgres) -> None:
    """As operators do it with nothing lost: the old one takes no more writes, keeps its
    connections, and the new one is promoted when it has everything."""
    run(primary, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")

    def has_everything() -> bool:
        there = run(primary, "SELECT pg_current_wal_lsn()")
        return bool(run(standby, f"SELECT pg_last_wal_replay_lsn() >= '{there}'"))

    def nobody_writes() -> bool:
        writing = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
        return run(primary, writing) == 0

    wait_for(nobody_writes, what="the last writers")
    wait_for(has_everything, what="the standby to catch up")
    promote(standby)


def promote(standby: Postgres) -> None:
    """Make a primary of it."""
    assert run(standby, "SELECT pg_promote(true, 30)")
