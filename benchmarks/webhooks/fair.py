"""Many endpoints that accept connections and never answer, and one that is well."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import quantiles
from uuid import uuid4

from benchmarks.place import Place
from benchmarks.run import SILENCE_MAX_S
from benchmarks.webhooks import rate
from benchmarks.webhooks.worker import Webhooks
from payments.webhooks.outbox import Fact, publish
from service.broker.publisher import Waker
from tests.support.acting import Database

RATE_PER_S = 20.0

# Accepts and reads, and says nothing.
SILENT = """
import asyncio, resource
class Silent(asyncio.Protocol):
    pass
async def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def silence() -> Iterator[str]:
    """The URL of a server that never answers."""
    process = subprocess.Popen([sys.executable, "-c", SILENT], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.kill()
        process.wait()


def latencies_ms(dead: int, seconds: float, place: Place, webhooks: Webhooks) -> list[float]:
    """How long each webhook of the healthy one took, from commit to arrival. All endpoints are told
    of every event."""
    with silence() as url:
        warm = webhooks.endpoints([place.receiver.url])
        rate.delivered(warm, 200, place.receiver, webhooks)
        place.receiver.take()
        webhooks.endpoints([place.receiver.url, *(f"{url}{n}" for n in range(dead))])
        waker = Waker(webhooks.waking)
        database = Database(webhooks.engine, waker)
        committed: dict[str, float] = {}
        started_s = time.monotonic()
        for n in range(int(seconds * RATE_PER_S)):
            time.sleep(max(0.0, started_s + n / RATE_PER_S - time.monotonic()))
            key = uuid4().hex
            data = {"idempotency_key": key}
            fact = Fact("charge.succeeded", f"ch_{key}", 1, data, datetime.now(UTC), "bench")
            with database.transaction() as transaction:
                publish(transaction, [fact])
            committed[key] = time.monotonic()
        arrived: dict[str, float] = {}
        waited_s = time.monotonic()
        while len(arrived) < len(committed):
            for arrival in place.receiver.take():
                arrived.setdefault(arrival.key, arrival.at_s)
            if time.monotonic() - waited_s > SILENCE_MAX_S:
                raise TimeoutError(f"{len(arrived)} of {len(committed)} arrived")
            time.sleep(0.1)
        waker.close()
    return [1000 * (arrived[key] - at_s) for key, at_s in committed.items()]


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    hundredths = quantiles(values, n=100)
    return hundredths[49], hundredths[94], hundredths[98]
