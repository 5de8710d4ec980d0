"""What it takes to ask over the broker: `python -m benchmarks.enqueue`.

`billing.charge.create`, one at a time, beside a bare LPUSH of the very bytes that it put into
Redis, over one connection; and `create_many` beside LPUSH in batches as large. In turns.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated

import redis
import typer

from benchmarks.publisher import request
from benchmarks.run import new_keys
from infra import billing
from infra.billing.calls import bulk
from local.embedded import throwaway

QUEUE = "payments"


def main(
    requests: Annotated[int, typer.Option(min=10, help="One at a time.")] = 3_000,
    many: Annotated[int, typer.Option(min=10, help="By create_many.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="The median counts.")] = 3,
) -> None:
    """Prints requests per second and CPU of the producer, and what ours takes in times of bare."""
    with throwaway.servers(durable=False) as servers:
        billing.configure(url=servers.redis.url_of(0), producer="bench")
        with redis.Redis.from_url(servers.redis.url_of(0)) as bare:
            seen = measured(bare, requests=requests, many=many, rounds=rounds)
    for name, runs in seen.items():
        clock, cpu = (median(run[n] for run in runs) for n in (0, 1))
        print(f"{name:12} {1e6 * clock:7.1f} µs each, {1 / clock:8,.0f}/s, {1e6 * cpu:7.1f} µs CPU")
    for ours, theirs in (("create", "LPUSH"), ("create_many", "LPUSH many")):
        times = median(run[0] for run in seen[ours]) / median(run[0] for run in seen[theirs])
        print(f"{ours}: {times:.2f} times {theirs}")


def measured(
    bare: "redis.Redis[bytes]", *, requests: int, many: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """For each way the seconds a request took in each round, by the clock and of our CPU."""
    create(new_keys(100))
    messages = list(bare.lrange(QUEUE, 0, -1))
    batches = range(0, many, bulk.BATCH)
    ways: dict[str, tuple[int, Callable[[Sequence[str]], object]]] = {
        "create": (requests, create),
        "LPUSH": (requests, lambda keys: [bare.lpush(QUEUE, messages[0]) for _ in keys]),
        "create_many": (many, create_many),
        "LPUSH many": (many, lambda _: [bare.lpush(QUEUE, *messages * 5) for _ in batches]),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            count, way = ways[name]
            keys = new_keys(count)
            clock, cpu = time.perf_counter(), time.process_time()
            way(keys)
            spent = time.perf_counter() - clock, time.process_time() - cpu
            seen[name].append((spent[0] / count, spent[1] / count))
            bare.delete(QUEUE)
    return seen


def create(keys: Sequence[str]) -> None:
    for key in keys:
        billing.charge.create(**_asked(key))


def create_many(keys: Sequence[str]) -> None:
    for answer in billing.charge.create_many(_asked(key) for key in keys):
        if isinstance(answer, billing.BillingError):
            raise answer


def _asked(key: str) -> dict[str, object]:
    return {name: value for name, value in request(key).items() if name != "producer"}


if __name__ == "__main__":
    typer.run(main)
