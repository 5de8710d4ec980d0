"""Our door: the web process of the Procfile, with an API key and a webhook endpoint."""

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path

import redis
from sqlalchemy import Engine

from benchmarks.doors.door import Door
from benchmarks.ours import ENCRYPTION_KEY, LOOPBACK, PROCFILE
from local.supervisor import command_of, parse_procfile
from payments.access import keys
from payments.access.vault import Vault
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database


class Ours(Door):
    name = "ours"

    @cached_property
    def broker_url(self) -> str:
        return self.place.broker_url(database=self.place.next_broker_database())

    def prepare(self, engine: Engine) -> None:
        target_check = TargetCheck([ip_network(LOOPBACK)])
        with Database(engine).transaction() as transaction:
            _, key = keys.create(transaction, producer="bench")
            endpoints.add(
                transaction,
                url=self.place.receiver.url,
                target_check=target_check,
                vault=Vault([ENCRYPTION_KEY]),
            )
        self.authorization = f"Bearer {key}"

    def command(self) -> Sequence[str]:
        return command_of(parse_procfile(PROCFILE.read_text())["web"])

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BILLING_DATABASE_URL": self.database_url,
            "BILLING_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "BILLING_BROKER_URL": self.broker_url,
            "BILLING_DATA_DIR": str(self.place.folder / "ours-http"),
            "BILLING_HTTP_PORT": str(self.port),
            # All the load comes with one key, as fast as it is answered.
            "BILLING_HTTP_KEY_RATE": "0",
        }

    def start(self) -> None:
        # Nobody works on its charges, so the wake-up calls of the run before are there still.
        with redis.Redis.from_url(self.place.servers.redis.admin_url) as broker:
            broker.flushdb()
        super().start()
