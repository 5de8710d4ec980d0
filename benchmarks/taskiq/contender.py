"""TaskIQ as a contender: its worker, from the virtual environment of the tools."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks import tools
from benchmarks.ceiling.contender import TABLES
from benchmarks.contender import Contender, Missing
from benchmarks.publisher import Publisher, StreamPublisher
from infra.billing.contract.signatures import new_secret

CHECKOUT = Path(__file__).parents[2]
STREAM = "taskiq"  # the broker's default


class TaskIQ(Contender):
    """The rival."""

    name = "taskiq"
    title = "TaskIQ, streams of Redis"

    def install(self) -> None:
        try:
            self._python = tools.python()
        except subprocess.CalledProcessError as failed:
            raise Missing(f"the package registry didn't give it: {failed}") from None
        self.secret = new_secret()
        self.database.execute(TABLES.read_text().encode())

    def commands(self) -> dict[str, Sequence[str]]:
        return {
            "worker": [
                *(str(self._python), "-m", "taskiq", "worker", "benchmarks.taskiq.app:broker"),
                # One process: with its default of two, the second gains nothing on two cores that
                # PostgreSQL and Redis share, and costs more per charge.
                *("--workers", "1", "--max-async-tasks", "200", "--log-level", "WARNING"),
            ]
        }

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "PYTHONPATH": str(CHECKOUT),
            "RIVAL_DATABASE_URL": self.database_url,
            "RIVAL_BROKER_URL": self.broker_url,
            "RIVAL_RECEIVER_URL": self.place.receiver.url,
            "RIVAL_SECRET": self.secret,
            "RIVAL_LATENCY_MS": str(latency_ms),
        }

    def publisher(self) -> Publisher:
        return StreamPublisher(self.broker_url, stream=STREAM, task="charge.create")

    def unfinished(self) -> int:
        return self.count(
            "select (select count(*) from charges) - (select count(*) from deliveries)"
        )
