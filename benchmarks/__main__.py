"""The command: `python -m benchmarks`, or `make bench`."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from benchmarks import place, report, scenarios
from benchmarks.baseline.contender import Baseline
from benchmarks.contender import Contender
from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.run import Figures, run

Value = TypeVar("Value")
CONTENDERS: dict[str, Callable[[Place], Contender]] = {"plain": Baseline, "ours": Ours}


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Scenarios: {', '.join(scenarios.ALL)}.")
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help=f"Contenders: {', '.join(CONTENDERS)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="One round, few requests: does it run?")] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures to this file.")
    ] = None,
) -> None:
    """Measures ours beside the plain way to do it, on throwaway servers of its own."""
    chosen = _among(scenarios.ALL, only)
    makers = _among(CONTENDERS, contender)
    if quick:
        chosen, rounds = [scenario.quick() for scenario in chosen], 1
    console = Console(stderr=True)
    results: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))

    with place.prepared() as here:
        contenders = [make(here) for make in makers]
        for each in contenders:
            each.install()
        facts = here.facts()
        for number in range(rounds):
            for scenario in chosen:
                # Every other round in the other order, so that a trend of the machine hits both.
                for each in contenders if number % 2 == 0 else reversed(contenders):
                    what = f"{number + 1}/{rounds} {scenario.name} {each.name}"
                    with console.status(what):
                        figures = run(scenario, each, here)
                    console.print(f"{what}: {figures}", highlight=False, soft_wrap=True)
                    results[scenario.name][each.name].append(figures)

    for scenario in chosen:
        report.show(scenario, results[scenario.name], console=Console())
    if json_path:
        document = report.document(results, chosen=chosen, machine=facts)
        json_path.write_text(json.dumps(document, indent=2))


def _among(known: Mapping[str, Value], names: Sequence[str] | None) -> list[Value]:
    if unknown := set(names or ()) - known.keys():
        raise typer.BadParameter(f"{unknown.pop()!r} is none of: {', '.join(known)}")
    return [known[name] for name in names or known]


if __name__ == "__main__":
    typer.run(main)
