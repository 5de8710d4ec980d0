"""The command: `python -m benchmarks`, or `make bench`."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import place, report, run, scenarios
from benchmarks.baseline.contender import Baseline
from benchmarks.contender import Contender
from benchmarks.doors import run as doors_run
from benchmarks.doors.door import Door
from benchmarks.doors.lean import Lean
from benchmarks.doors.ours import Ours as OurDoor
from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.run import Figures
from benchmarks.scenarios import Calling, Scenario

CONTENDERS: dict[str, type[Contender]] = {"plain": Baseline, "ours": Ours}
DOORS: dict[str, type[Door]] = {"lean": Lean, "ours": OurDoor}


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Scenarios: {', '.join(scenarios.ALL)}.")
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help=f"Contenders: {', '.join(CONTENDERS | DOORS)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="One round, few requests: does it run?")] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures to this file.")
    ] = None,
) -> None:
    """Measures ours beside the plain way to do it, on throwaway servers of its own."""
    chosen = [each for name in _among(scenarios.ALL, only) for each in scenarios.ALL[name]]
    names = _among(CONTENDERS | DOORS, contender)
    if quick:
        chosen, rounds = [scenario.quick() for scenario in chosen], 1
    console = Console(stderr=True)
    results: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))

    with place.prepared() as here:
        lineup = _runs(chosen, names, here)
        facts = here.facts()
        for number in range(rounds):
            for scenario, contenders in lineup:
                # Every other round in the other order, so that a trend of the machine hits both.
                for name in contenders if number % 2 == 0 else reversed(contenders):
                    what = f"{number + 1}/{rounds} {scenario.name} {name}"
                    with console.status(what):
                        figures = contenders[name]()
                    console.print(f"{what}: {figures}", highlight=False, soft_wrap=True)
                    results[scenario.name][name].append(figures)

    for scenario in chosen:
        report.show(scenario, results[scenario.name], console=Console())
    if json_path:
        document = report.document(results, chosen=chosen, machine=facts)
        json_path.write_text(json.dumps(document, indent=2))


def _runs(
    chosen: Sequence[Scenario | Calling], names: Sequence[str], here: Place
) -> list[tuple[Scenario | Calling, dict[str, Callable[[], Figures]]]]:
    """For each scenario how to run it with each contender; who is needed is installed, once."""

    @cache
    def installed(maker: type[Contender | Door]) -> Any:
        contender = maker(here)
        contender.install()
        return contender

    def runs(scenario: Scenario | Calling) -> dict[str, Callable[[], Figures]]:
        start, makers = (
            (doors_run.run, DOORS) if isinstance(scenario, Calling) else (run.run, CONTENDERS)
        )
        return {
            name: partial(start, scenario, installed(makers[name]), here)
            for name in names
            if name in makers
        }

    return [(scenario, runs(scenario)) for scenario in chosen]


def _among(known: Mapping[str, object], names: Sequence[str] | None) -> list[str]:
    if unknown := set(names or ()) - known.keys():
        raise typer.BadParameter(f"{unknown.pop()!r} is none of: {', '.join(known)}")
    return list(names or known)


if __name__ == "__main__":
    typer.run(main)
