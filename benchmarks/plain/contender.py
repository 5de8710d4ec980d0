"""The plain way as a contender: one stock Celery worker, prefork, as many processes as cores."""

import base64
import secrets
import sys
from collections.abc import Sequence

from sqlmodel import Session, col, create_engine, func, select

from benchmarks.contender import Contender
from benchmarks.plain.tables import Charge, Delivery, Endpoint, Table
from benchmarks.publisher import CeleryPublisher, Publisher


class Plain(Contender):
    name = "plain"
    title = "plain Celery, prefork, Redis"

    def install(self) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self._engine = create_engine(self.database_url)
        Table.metadata.create_all(self._engine)
        with Session(self._engine) as session:
            session.add(Endpoint(url=self.place.receiver.url, secret=self.secret))
            session.commit()

    def commands(self) -> dict[str, Sequence[str]]:
        return {"worker": [sys.executable, "-m", "celery", "-A", "benchmarks.plain.app", "worker"]}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "PLAIN_DATABASE_URL": self.database_url,
            "PLAIN_BROKER_URL": self.broker_url,
            "PLAIN_LATENCY_MS": str(latency_ms),
        }

    def publisher(self) -> Publisher:
        # Celery's default queue: both tasks share it.
        return CeleryPublisher(self.broker_url, queue="celery", task="plain.charge.create")

    def unfinished(self) -> int:
        with Session(self._engine) as session:
            charges = session.exec(select(func.count()).select_from(Charge)).one()
            delivered = session.exec(
                select(func.count(func.distinct(col(Delivery.event_id))))
            ).one()
            return charges - delivered
