"""The ceiling as a contender: one process, and JSON in a list of Redis."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ceiling.app import QUEUE
from benchmarks.contender import Contender
from benchmarks.publisher import ListPublisher, Publisher
from infra.billing.contract.signatures import new_secret

TABLES = Path(__file__).with_name("tables.sql")


class Ceiling(Contender):
    """By hand."""

    name = "ceiling"
    title = "ceiling: asyncio by hand, group commit"

    def install(self) -> None:
        self.secret = new_secret()
        self.database.execute(TABLES.read_text().encode())

    def commands(self) -> dict[str, Sequence[str]]:
        return {"worker": [sys.executable, "-m", "benchmarks.ceiling.app"]}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "CEILING_DATABASE_URL": self.database_url,
            "CEILING_BROKER_URL": self.broker_url,
            "CEILING_RECEIVER_URL": self.place.receiver.url,
            "CEILING_SECRET": self.secret,
            "CEILING_LATENCY_MS": str(latency_ms),
        }

    def publisher(self) -> Publisher:
        return ListPublisher(self.broker_url, queue=QUEUE)

    def unfinished(self) -> int:
        return self.count(
            "select (select count(*) from charges) - (select count(*) from deliveries)"
        )
