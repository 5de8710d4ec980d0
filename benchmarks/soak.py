"""Whether anything grows with what was done: `python -m benchmarks.soak`.

One worker, one `webhooks` and beat carry out a million charges, without being started anew, each
with a webhook that is verified. Printed after each part: what a charge took then, and the memory of
each process.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import typer

from benchmarks import place
from benchmarks.ours import Ours
from benchmarks.run import Figures, carry_out, new_keys


class Soaked(Ours):
    name = "ours-soaked"


def main(
    charges: Annotated[int, typer.Option(min=1, help="In all.")] = 1_000_000,
    part: Annotated[int, typer.Option(min=1, help="At once, before the next line.")] = 25_000,
) -> None:
    """Prints a line for each part."""
    with place.prepared() as here:
        ours = Soaked(here)
        ours.install()
        done = 0
        for figures in _parts(ours, charges, part):
            done += figures.requests
            print(f"{done:,}: {_line(figures)}", flush=True)


def _parts(ours: Soaked, charges: int, part: int) -> Iterator[Figures]:
    ours.place.receiver.answer_after(0)
    ours.start(latency_ms=0)
    try:
        with closing(ours.publisher()) as publisher:
            for first in range(0, charges, part):
                keys = new_keys(min(part, charges - first))
                yield carry_out(keys, ours, ours.place, publisher)
    finally:
        ours.processes.stop()


def _line(figures: Figures) -> str:
    cpu = ", ".join(f"{role} {ms:.2f}" for role, ms in figures.cpu_ms.items())
    memory = ", ".join(f"{role} {mb:.0f}" for role, mb in figures.rss_mb.items())
    return (
        f"{figures.charges_per_s:,.0f} charges/s; CPU of a charge in ms: {cpu};"
        f" {figures.wal_kb:.1f} kB of WAL; MB of memory: {memory};"
        f" {figures.others_percent:.0f} % of the CPU used by others"
    )


if __name__ == "__main__":
    typer.run(main)
