"""The baseline as a contender: one stock Celery worker, prefork, as many processes as cores."""

import base64
import secrets
import sys
from collections.abc import Sequence

from sqlmodel import Session, col, create_engine, func, select

from benchmarks.baseline.tables import Charge, Delivery, Endpoint, Table
from benchmarks.contender import Contender


class Baseline(Contender):
    name = "plain"
    task = "baseline.charge.create"
    queue = "celery"  # Celery's default: both tasks share it

    @property
    def broker_url(self) -> str:
        return self.place.broker_url(database=1)

    def install(self) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self._engine = create_engine(self.database_url)
        Table.metadata.create_all(self._engine)
        with Session(self._engine) as session:
            session.add(Endpoint(url=self.place.receiver.url, secret=self.secret))
            session.commit()

    def commands(self) -> dict[str, Sequence[str]]:
        return {
            "worker": [sys.executable, "-m", "celery", "-A", "benchmarks.baseline.app", "worker"]
        }

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "BASELINE_DATABASE_URL": self.database_url,
            "BASELINE_BROKER_URL": self.broker_url,
            "BASELINE_LATENCY_MS": str(latency_ms),
        }

    def unfinished(self) -> int:
        with Session(self._engine) as session:
            charges = session.exec(select(func.count()).select_from(Charge)).one()
            delivered = session.exec(
                select(func.count(func.distinct(col(Delivery.event_id))))
            ).one()
            return charges - delivered
