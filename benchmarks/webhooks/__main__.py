"""The command: `python -m benchmarks.webhooks`."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Annotated

import typer

from benchmarks import place
from benchmarks.receiver import Receiver
from benchmarks.webhooks import fair, rate, worker
from benchmarks.webhooks.rate import LOADS, Load, Speed

ONLY = ("rate", "fair")
P95_MAX_MS = 1000.0
# In which nobody knows yet which of the endpoints are dead.
FIRST_S = 10.0


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Parts: {', '.join(ONLY)}.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    dead: Annotated[int, typer.Option(min=0, help="Endpoints that never answer.")] = 500,
    seconds: Annotated[float, typer.Option(min=5, help="Of 20 events a second.")] = 60.0,
    quick: Annotated[bool, typer.Option(help="One round of each, short: does it run?")] = False,
) -> None:
    """Measures delivery beside a bare loop of the same HTTP client, and beside dead endpoints."""
    parts = only or list(ONLY)
    if unknown := set(parts) - set(ONLY):
        raise typer.BadParameter(f"{unknown.pop()!r} is none of: {', '.join(ONLY)}")
    loads = [load.quick() for load in LOADS] if quick else list(LOADS)
    if quick:
        rounds, dead, seconds = 1, min(dead, 60), min(seconds, 5.0)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with place.prepared() as here, worker.running(here) as webhooks:
        if "rate" in parts:
            compare(loads, rounds, here, webhooks)
        if "fair" in parts:
            took_ms = fair.latencies_ms(dead, seconds, here, webhooks)
            first = took_ms[: int(FIRST_S * fair.RATE_PER_S)]
            for when, some in ((f"in the first {FIRST_S:.0f} s", first), ("in all", took_ms)):
                p50, p95, p99 = fair.percentiles(some)
                print(
                    f"beside {dead} dead, {when}:"
                    f" p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
                )
            if p95 > P95_MAX_MS and not quick:
                raise SystemExit(f"the p95 is above {P95_MAX_MS:.0f} ms")


def compare(loads: list[Load], rounds: int, here: place.Place, webhooks: worker.Webhooks) -> None:
    """Both, in turns, and in the other order every other round."""
    seen: dict[tuple[str, str], list[Speed]] = defaultdict(list)
    for number in range(rounds):
        for load in loads:
            with _receiver(load, here) as receiver:
                for who in ("bare", "ours") if number % 2 == 0 else ("ours", "bare"):
                    if who == "bare":
                        speed = rate.bare(load, receiver)
                    else:
                        speed = rate.ours(load, receiver, webhooks, here)
                    seen[load.name, who].append(speed)
                    print(f"{load.name} {who}: {speed.per_s:.0f}/s, {speed.cpu_ms:.2f} ms CPU")
    for load in loads:
        of = {
            who: (
                median(one.per_s for one in seen[load.name, who]),
                median(one.cpu_ms for one in seen[load.name, who]),
            )
            for who in ("bare", "ours")
        }
        print(
            f"{load.name}: {of['ours'][0] / of['bare'][0]:.2f} of the rate, "
            f"{of['ours'][1] / of['bare'][1]:.2f} times the CPU"
        )


@contextmanager
def _receiver(load: Load, here: place.Place) -> Iterator[Receiver]:
    if not load.delay_ms:
        yield here.receiver
        return
    with Receiver(delay_ms=load.delay_ms) as receiver:
        yield receiver


if __name__ == "__main__":
    typer.run(main)
