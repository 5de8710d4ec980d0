"""PostgreSQL is restored to a moment by pgBackRest, as docs/how-to/back-up-and-restore.md says.

For `make restore`: with pgBackRest and the PostgreSQL of the system, which CI has no need of.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from service.wiring import open_database
from tests.conftest import environ_for
from tests.integration.test_backups import counts, trade
from tests.support import children
from tests.support.ports import free_port
from tests.support.waiting import patience_s, wait_for

CONF = Path(__file__).parents[2] / "deploy" / "backup" / "pgbackrest.conf"


@dataclass
class Cluster:
    """A PostgreSQL of the system's, archived by pgBackRest."""

    folder: Path
    programs: Path
    port: int
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://billing@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *command: object) -> None:
        """A program, as the user that PostgreSQL runs as."""
        done = children.run(
            [*_as_postgres(), *map(str, command)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PGPORT": str(self.port)},
            capture_output=True,
            text=True,
            timeout=4 * patience_s(),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def pgbackrest(self, *words: str) -> None:
        self.run(
            "pgbackrest", f"--config={self.folder}/pgbackrest.conf", "--stanza=billing", *words
        )

    def start(self) -> None:
        """Start it, and wait until it can be written to."""
        log = (self.folder / "postgres.log").open("ab")
        self.running = children.start(
            [*_as_postgres(), str(self.programs / "postgres"), "-D", str(self.data)],
            cwd=self.folder,
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_for(self._is_primary, what="PostgreSQL to take writes")

    def _is_primary(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, (self.folder / "postgres.log").read_text()[-4000:]
        try:
            with psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                return row == (False,)
        except psycopg.OperationalError:
            return False

    def lose(self) -> None:
        """The machine is gone, with all that was on its disk."""
        assert self.running is not None
        self.running.send_signal(signal.SIGQUIT)
        self.running.wait(patience_s())
        shutil.rmtree(self.data)


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if os.environ.get("BILLING_TEST_RESTORE") != "1":
        pytest.skip("for `make restore`")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=_version)
    if programs is None or shutil.which("pgbackrest") is None:
        pytest.fail("apt-get install postgresql pgbackrest")
    folder = Path(tempfile.mkdtemp(prefix="billing-restore-"))
    if not os.getuid():
        os.chown(folder, *pwd.getpwnam("postgres")[2:4])
    made = Cluster(folder, programs, free_port())
    try:
        made.run(programs / "initdb", "-D", made.data, "-U", "billing", "--auth=trust", "--no-sync")
        _configure(made)
        made.start()
        made.pgbackrest("stanza-create")
        yield made
    finally:
        if made.running is not None and made.running.poll() is None:
            made.running.send_signal(signal.SIGINT)
            made.running.wait(patience_s())
        shutil.rmtree(folder, ignore_errors=True)


def _version(path: Path) -> int:
    return int(path.parent.name)


def _configure(cluster: Cluster) -> None:
    """As the file in deploy/ says, at the place of this cluster."""
    conf = CONF.read_text()
    for name, value in {
        "repo1-path": f"{cluster.folder}/repo",
        "repo1-cipher-pass": "of-a-test",
        "pg1-path": str(cluster.data),
        "pg1-port": f"{cluster.port}\npg1-socket-path={cluster.folder}\npg1-user=billing",
    }.items():
        conf, changed = re.subn(rf"^{name}=.*$", f"{name}={value}", conf, flags=re.MULTILINE)
        assert changed == 1, f"{CONF.name} sets {name} once"
    for one in ("lock", "log", "spool"):
        conf = conf.replace("[global]\n", f"[global]\n{one}-path={cluster.folder}/{one}\n")
    path = cluster.folder / "pgbackrest.conf"
    path.write_text(conf)
    path.chmod(0o644)
    push = f"pgbackrest --config={path} --stanza=billing archive-push %p"
    with (cluster.data / "postgresql.conf").open("a") as settings:
        settings.write(
            f"listen_addresses = '127.0.0.1'\nport = {cluster.port}\n"
            f"unix_socket_directories = '{cluster.folder}'\n"
            f"archive_mode = on\narchive_command = '{push}'\narchive_timeout = 60s\n"
        )


def test_the_books_are_as_they_were_at_a_moment_before_the_mistake(
    cluster: Cluster, tmp_path: Path
) -> None:
    environ = environ_for(cluster.url, "redis://unused", tmp_path)

    def billing(*words: str) -> str:
        done = children.run(
            [sys.executable, "-m", "cli", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=2 * patience_s(),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    billing("migrate")
    engine = open_database(cluster.url)
    trade(engine)
    cluster.pgbackrest("backup", "--type=full")
    trade(engine, first=100)
    with engine.connect() as connection:
        then = connection.scalar(text("SELECT clock_timestamp()"))
    wanted = counts(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("DELETE FROM charges")  # somebody's mistake
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_switch_wal()")
    engine.dispose()
    cluster.pgbackrest("check")  # all of it is in the archive
    cluster.lose()
    cluster.data.mkdir(mode=0o700)
    if not os.getuid():
        os.chown(cluster.data, *pwd.getpwnam("postgres")[2:4])
    cluster.pgbackrest(
        "restore", "--type=time", f"--target={then.isoformat(' ')}", "--target-action=promote"
    )
    cluster.start()
    there = create_engine(cluster.url)
    try:
        assert counts(there) == wanted
    finally:
        there.dispose()
    assert billing("migrate").strip() == "the database is up to date"
    assert "all promises are kept" in billing("verify")
