"""The three machines together: made, opened for business, and taken away."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.cluster import network, programs
from tests.cluster.machines import Machine
from tests.cluster.state import State
from tests.support.programs import ROOT
from tests.support.waiting import wait_for

# A PostgreSQL that was frozen and has to end at once may take a minute for it: having killed its
# children, its postmaster may miss that they are gone, and looks again after 60 s.
WHOLE_S = 180.0


class Cluster:
    """Three machines, whose first primary and Redis master is whichever they agree on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passwords = programs.Secrets()
        self.machines = [Machine(number, folder / f"node{number}") for number in network.NUMBERS]
        for machine in self.machines:
            programs.install(machine, self.passwords)
            machine.hold(programs.OURS)
        self.state = State(self.machines, self.passwords)
        self.database_url = programs.database_url(self.passwords)

    def start(self) -> None:
        """PostgreSQL, etcd, Redis and the rest, then the tables, then our processes."""
        for machine in self.machines:
            machine.boot()
        self.wait_until_whole()
        self._make_database()
        self.billing("migrate")
        for machine in self.machines:
            machine.let_go(programs.OURS)
        self.wait_until_whole()

    def end(self) -> None:
        """Nothing of it runs any more."""
        for machine in self.machines:
            machine.end()

    def wait_until_whole(self) -> float:
        """Seconds until every machine is back in all its parts."""
        began = time.monotonic()
        wait_for(
            self.state.lacks,
            until=lambda lacks: not lacks,
            what="a whole cluster",
            every_s=1.0,
            idle_s=WHOLE_S,
        )
        return time.monotonic() - began

    def primary(self) -> Machine:
        """The machine that takes writes; waits for one."""
        found = wait_for(self.state.primary, what="a primary", every_s=0.2)
        assert found
        return found

    def billing(self, *arguments: str) -> str:
        """What `billing …` says, run on this host with all machines in its URLs."""
        environ = programs.environ(self.passwords, self.database_url, self.folder)
        command = [str(ROOT / ".venv" / "bin" / "billing"), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"billing {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def object_of(self, *arguments: str) -> Mapping[str, Any]:
        """The JSON that `billing … --json` says."""
        said = self.billing(*arguments, "--json")
        found: Mapping[str, Any] = json.loads(said[said.index("{") :])
        return found

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Asked of the primary."""
        url = self.database_url.replace("+psycopg", "")
        with psycopg.connect(
            url, row_factory=dict_row, target_session_attrs="read-write", connect_timeout=5
        ) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _make_database(self) -> None:
        with psycopg.connect(
            host=self.primary().address, user="postgres", password=self.passwords.superuser,
            dbname="postgres", autocommit=True,
        ) as connection:  # fmt: skip
            create = sql.SQL("CREATE ROLE billing LOGIN PASSWORD {} IN ROLE pg_monitor")
            connection.execute(create.format(self.passwords.billing))
            connection.execute("CREATE DATABASE billing OWNER billing")


@contextmanager
def cluster(folder: Path, *, say: Callable[[str], None]) -> Iterator[Cluster]:
    """A whole cluster. Afterwards nothing of it runs, and its network is gone."""
    try:
        network.make()
        made = Cluster(folder)
        try:
            began = time.monotonic()
            made.start()
            say(f"three machines are whole after {time.monotonic() - began:.0f} s")
            yield made
        finally:
            made.end()
    finally:
        network.remove()


def forget(folder: Path) -> None:
    """Remove what a cluster has written."""
    shutil.rmtree(folder, ignore_errors=True)
