"""The command: `python -m benchmarks.messages`."""

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks import place
from benchmarks.messages import worker
from benchmarks.messages.worker import Cost

WAYS = ("threads", "loop")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Ways: {', '.join(WAYS)}.")] = None,
    charges: Annotated[int, typer.Option(min=100, help="Messages of each run.")] = 8_000,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each way; the median counts.")] = 3,
    rabbitmq: Annotated[bool, typer.Option(help="Through RabbitMQ instead of Redis.")] = False,
    profile: Annotated[Path | None, typer.Option(help="Where py-spy writes (--gil).")] = None,
) -> None:
    """Measures what a charge costs a worker, by a message that waits in its queue, where the
    processor answers at once: the ways of BILLING_DISPATCH in turns."""
    ways = only or list(WAYS)
    if unknown := set(ways) - set(WAYS):
        raise typer.BadParameter(f"{unknown.pop()!r} is none of: {', '.join(WAYS)}")
    seen: dict[str, list[Cost]] = defaultdict(list)
    with place.prepared() as here:
        for number in range(rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                with worker.running(here, dispatch=way, rabbitmq=rabbitmq) as one:
                    cost = one.carry(charges, profile=profile)
                seen[way].append(cost)
                print(
                    f"{way}: {cost.per_s:,.0f}/s, CPU ms: worker {cost.worker_ms:.3f}"
                    f" (main thread {cost.main_ms:.3f}),"
                    f" PostgreSQL {cost.postgres_ms:.3f};"
                    f" {1 / cost.transactions:.0f} charges a transaction, WAL {cost.wal_kb:.1f} kB",
                    flush=True,
                )
    middle = {way: median(cost.worker_ms for cost in costs) for way, costs in seen.items()}
    for way, ms in middle.items():
        print(f"{way}: {ms:.3f} ms of the worker's CPU a charge")
    if len(middle) == len(WAYS):
        print(f"loop: {middle['loop'] / middle['threads']:.2f} of what threads cost")


if __name__ == "__main__":
    typer.run(main)
