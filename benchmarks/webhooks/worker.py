"""Our side: the `webhooks` process of the Procfile, its endpoints, and what is due there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import Celery
from sqlalchemy import Engine, create_engine, text

from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.run import SILENCE_MAX_S
from infra.billing.contract.ids import random_id
from infra.billing.contract.signatures import new_secret
from payments.transaction import Wakes
from service.broker.celery_config import configuration
from service.broker.publisher import Publisher
from service.settings import Settings

# As large as the webhook of a charge.
BODY = '{"type":"charge.succeeded","data":{"idempotency_key":"%s","text":"' + "x" * 600 + '"}}'


class Webhooks(Ours):
    """Only the process that delivers, and beat; events are written by who measures."""

    def commands(self) -> dict[str, Sequence[str]]:
        return {role: command for role, command in super().commands().items() if role != "worker"}

    def open(self) -> None:
        """Connect to what it works on."""
        self.engine: Engine = create_engine(self.database_url)
        app = Celery("benchmark", set_as_current=False)
        app.conf.update(configuration(Settings(broker_url=self.broker_url)))
        self.waking = Publisher(app)

    def endpoints(self, urls: Sequence[str]) -> list[str]:
        """Enabled endpoints at these URLs, in place of those that were there."""
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE webhook_endpoints SET state = 'disabled'"))
            ids = connection.execute(
                text(
                    "INSERT INTO webhook_endpoints (id, url, secrets)"
                    " SELECT id, url, ARRAY[CAST(:secret AS text)]"
                    " FROM unnest(CAST(:ids AS text[]), CAST(:urls AS text[])) AS e (id, url)"
                    " RETURNING id"
                ),
                {
                    "ids": [random_id("we_") for _ in urls],
                    "secret": new_secret(),
                    "urls": list(urls),
                },
            )
            return list(ids.scalars())

    def due(self, endpoint_ids: Sequence[str], number: int) -> None:
        """So many deliveries become due, in turn at each endpoint. Nobody is told."""
        with self.engine.begin() as connection:
            connection.execute(_DUE, {"ids": list(endpoint_ids), "number": number, "body": BODY})
        with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("ANALYZE deliveries"))

    def wake(self, endpoint_ids: Sequence[str]) -> None:
        self.waking(Wakes(endpoints=set(endpoint_ids)))


_DUE = text("""
    WITH made AS (
        INSERT INTO events (id, type, object_id, sequence, body)
        SELECT 'evt_' || o.id, 'charge.succeeded', 'ch_' || o.id, 1, replace(:body, '%s', o.id)
        FROM (SELECT md5(random()::text || n::text) AS id, n
              FROM generate_series(1, :number) AS n) AS o
        RETURNING id
    ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
    INSERT INTO deliveries (event_id, endpoint_id)
    SELECT id, (CAST(:ids AS text[]))[1 + n % cardinality(CAST(:ids AS text[]))] FROM numbered
""")


@contextmanager
def running(place: Place) -> Iterator[Webhooks]:
    """Installed, started, and stopped in the end."""
    webhooks = Webhooks(place)
    webhooks.install()
    webhooks.open()
    webhooks.start(latency_ms=0)
    try:
        yield webhooks
    finally:
        webhooks.processes.stop()
        webhooks.waking.close()
        webhooks.engine.dispose()


__all__ = ["SILENCE_MAX_S", "Webhooks", "running"]
