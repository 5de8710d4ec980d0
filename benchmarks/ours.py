"""Ours as a contender: the processes of the Procfile, set up through the command line."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from honcho.environ import parse_procfile

from benchmarks.contender import Contender

PROCFILE = Path(__file__).parent.parent / "Procfile"
ROLES = ("worker", "webhooks", "beat")  # what charges need; web and flower only look on


class Ours(Contender):
    name = "ours"
    task = "billing.charge.create"
    queue = "payments"

    @property
    def broker_url(self) -> str:
        return self.place.broker_url(database=2)

    def install(self) -> None:
        self._billing("migrate")
        endpoint = json.loads(self._billing("endpoint", "add", self.place.receiver.url, "--json"))
        self.secret = endpoint["secret"]
        self._database = self.place.connect(self.name)

    def commands(self) -> dict[str, Sequence[str]]:
        processes = parse_procfile(PROCFILE.read_text()).processes
        return {role: shlex.split(processes[role]) for role in ROLES}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BILLING_DATABASE_URL": self.database_url,
            "BILLING_BROKER_URL": self.broker_url,
            "BILLING_DATA_DIR": str(self.place.folder / "ours"),
            "BILLING_SANDBOX_LATENCY_MS": str(latency_ms),
            "BILLING_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        }

    def unfinished(self) -> int:
        row = self._database.execute(
            "select (select count(*) from charges where state = 'pending')"
            " + (select count(*) from deliveries where state = 'pending')"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _billing(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli", *arguments],
            env=os.environ | self.environment(latency_ms=0),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"billing {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout
