"""What a charge costs as the tables grow, and how much room it takes: `benchmarks.growth`.

The same burst through ours into empty tables, and into tables that hold a year of charges already
(`benchmarks/console/filling.py`). What docs/scale.md computes with comes from here.
"""

from collections.abc import Iterator
from statistics import median
from typing import Annotated

import typer
from sqlalchemy import create_engine

from benchmarks import place
from benchmarks.console.filling import fill
from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.run import Figures, run
from benchmarks.scenarios import BURST

# All of a table: rows, what is too long for them, and indexes.
_SIZES = """
    SELECT relname, pg_relation_size(oid) AS rows_,
           pg_total_relation_size(oid) - pg_relation_size(oid) AS rest
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


class Grown(Ours):
    """Ours, with so many charges of a year in its tables."""

    def __init__(self, here: Place, charges: int) -> None:
        self.name = f"ours-{charges}"
        self.charges = charges
        self._left = 0  # some of that year are pending, and stay so
        super().__init__(here)

    def install(self) -> None:
        super().install()
        if not self.charges:
            return
        engine = create_engine(self.database_url)
        fill(engine, self.charges, lambda so_far: print(f"  {so_far}", flush=True))
        engine.dispose()
        # They are nobody's, and each would be told of each charge.
        self.database.execute(
            "UPDATE webhook_endpoints SET state = 'disabled' WHERE url LIKE '%.example/%'"
        )
        self.database.execute("VACUUM ANALYZE")
        self._left = super().unfinished()

    def unfinished(self) -> int:
        return super().unfinished() - self._left

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Bytes of rows, and of all else, by table."""
        return {name: (rows, rest) for name, rows, rest in self.database.execute(_SIZES)}


def main(
    charges: Annotated[
        list[int] | None, typer.Option(help="How many are there before; again for more sizes.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Bursts; the median counts.")] = 3,
) -> None:
    """Prints a line for each size, and bytes per charge by table."""
    with place.prepared() as here:
        for there in charges or [0, 1_000_000]:
            for line in measured(Grown(here, there), rounds):
                print(line, flush=True)


def measured(ours: Grown, rounds: int) -> Iterator[str]:
    """What so many bursts showed, and what they left."""
    ours.install()
    filled = ours.sizes()
    figures = [run(BURST, ours, ours.place) for _ in range(rounds)]
    yield from (f"  {one}" for one in figures)
    yield f"{ours.charges:,} charges there: {_line(figures)}"
    made = rounds * (BURST.requests + BURST.warm_up)
    ours.database.execute("VACUUM")
    after = ours.sizes()
    if not ours.charges:
        yield f"bytes of each of {made:,} charges that were carried out here, by table:"
        yield from _by_table(filled, after, made)
    else:
        whole = sum(map(sum, filled.values()))
        yield f"with {ours.charges:,} there: {whole / 1e9:.2f} GB, {whole / ours.charges:,.0f} each"


def _line(figures: list[Figures]) -> str:
    cpu = {role: median(one.cpu_ms[role] for one in figures) for role in figures[0].cpu_ms}
    each = ", ".join(f"{role} {ms:.2f}" for role, ms in cpu.items())
    return (
        f"{median(one.charges_per_s for one in figures):,.0f} charges/s, CPU of a charge in ms:"
        f" {each}; {median(one.wal_kb for one in figures):.1f} kB of WAL,"
        f" {median(one.transactions for one in figures):.2f} transactions;"
        f" {max(one.others_percent for one in figures):.0f} % of the CPU used by others"
    )


def _by_table(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], charges: int
) -> Iterator[str]:
    whole = 0.0
    for name, (rows, rest) in sorted(after.items(), key=lambda one: -sum(one[1])):
        grown = [
            (now - then) / charges for now, then in zip((rows, rest), before[name], strict=True)
        ]
        whole += sum(grown)
        if sum(grown) >= 1:
            yield f"{name:25} {grown[0]:7,.0f} {grown[1]:7,.0f}"
    yield f"{'all':25} {whole:15,.0f}"


if __name__ == "__main__":
    typer.run(main)
