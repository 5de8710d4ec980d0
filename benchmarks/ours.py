"""Ours as a contender: the processes of the Procfile, set up as its operator would."""

import os
import sys
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from sqlalchemy import create_engine

from benchmarks.contender import Contender
from local.supervisor import command_of, parse_procfile
from payments.transaction import Database
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from service.database import migrate

PROCFILE = Path(__file__).parent.parent / "Procfile"
LOOPBACK = "127.0.0.0/8"
ROLES = ("worker", "webhooks", "beat")  # what charges need; web and flower only look on


class Ours(Contender):
    name = "ours"
    task = "billing.charge.create"
    queue = "payments"

    @property
    def broker_url(self) -> str:
        return self.place.broker_url(database=2)

    def install(self) -> None:
        engine = create_engine(self.database_url)
        migrate.upgrade(engine)
        target_check = TargetCheck([ip_network(LOOPBACK)])
        with Database(engine).transaction() as transaction:
            endpoint = endpoints.add(
                transaction, url=self.place.receiver.url, target_check=target_check
            )
        engine.dispose()
        self.secret = endpoint.secrets[0]
        self._database = self.place.connect(self.name)

    def commands(self) -> dict[str, Sequence[str]]:
        lines = parse_procfile(PROCFILE.read_text())
        return {role: command_of(lines[role]) for role in ROLES}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BILLING_DATABASE_URL": self.database_url,
            "BILLING_BROKER_URL": self.broker_url,
            "BILLING_DATA_DIR": str(self.place.folder / "ours"),
            "BILLING_SANDBOX_LATENCY_MS": str(latency_ms),
            "BILLING_WEBHOOK_ALLOW_PRIVATE": LOOPBACK,
        }

    def unfinished(self) -> int:
        row = self._database.execute(
            "select (select count(*) from charges where state = 'pending')"
            " + (select count(*) from deliveries where state = 'pending')"
        ).fetchone()
        assert row is not None
        return int(row[0])
