"""The command: `python -m benchmarks`, or `make bench`."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import page, place, run, scenarios, tables
from benchmarks.ceiling.contender import Ceiling
from benchmarks.contender import Contender, Missing
from benchmarks.doors import run as doors_run
from benchmarks.doors.door import Door
from benchmarks.doors.lean import Lean
from benchmarks.doors.ours import Ours as OurDoor
from benchmarks.ours import (
    Ours,
    OursHttp,
    OursProfiled,
    OursRabbit,
    OursSandbox,
    OursWithoutLedger,
)
from benchmarks.parts import Profile
from benchmarks.place import Place
from benchmarks.plain.contender import Plain
from benchmarks.results import Document, Results
from benchmarks.run import Figures, Rest
from benchmarks.scenarios import BURST, Calling, Resting, Scenario
from benchmarks.taskiq.contender import TaskIQ
from benchmarks.tools import FOLDER

CONTENDERS: dict[str, type[Contender]] = {
    maker.name: maker for maker in (Ceiling, Ours, OursSandbox, OursRabbit, OursHttp, TaskIQ, Plain)
}
# Only by name: what a part of ours costs.
PARTS: dict[str, type[Contender]] = {OursWithoutLedger.name: OursWithoutLedger}
DOORS: dict[str, type[Door]] = {"lean": Lean, "ours": OurDoor}
OURS_BESIDES = (OursSandbox, OursRabbit, OursHttp)

Question = Scenario | Resting | Calling


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Scenarios: {', '.join(scenarios.ALL)}.")
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help=f"Contenders: {', '.join(CONTENDERS | DOORS)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option(help="One round, few requests: does it run?")] = False,
    parts: Annotated[bool, typer.Option(help="Also profile ours: where the CPU goes.")] = True,
    json_path: Annotated[
        Path, typer.Option("--json", help="Where all figures are written to.")
    ] = FOLDER / "figures.json",
    publish: Annotated[bool, typer.Option(help="Put them into docs/performance.md.")] = False,
    draw: Annotated[
        Path | None, typer.Option(help="Measure nothing: publish the figures of this file.")
    ] = None,
) -> None:
    """Measures ours beside others on the same work, on throwaway servers of its own."""
    if draw:
        page.publish(json.loads(draw.read_text()))
        return
    chosen: list[Question] = [
        each for name in _among(scenarios.ALL, only) for each in scenarios.ALL[name]
    ]
    names = _among(CONTENDERS | DOORS | (PARTS if contender else {}), contender)
    if quick:
        chosen, rounds = [scenario.quick() for scenario in chosen], 1
    console = Console(stderr=True)

    with place.prepared() as here:
        titles = {maker.name: maker.title for maker in (CONTENDERS | PARTS).values()}
        results = Results(machine=here.facts(), titles=titles)
        lineup = _runs(chosen, names, here, results)
        for number in range(rounds):
            for scenario, contenders in lineup:
                # Every other round in the other order, so that a trend of the machine hits both.
                for name in contenders if number % 2 == 0 else reversed(contenders):
                    what = f"{number + 1}/{rounds} {scenario.name} {name}"
                    with console.status(what):
                        figures = contenders[name]()
                    console.print(f"{what}: {figures}", highlight=False, soft_wrap=True)
                    results.rounds[scenario.name][name].append(figures)
                    # A run is long: what is measured is kept, whatever becomes of the rest.
                    _write(results.document(chosen), json_path)
        for scenario in chosen:
            if parts and scenario.name == BURST.name and Ours.name in names:
                results.parts = _profiled(scenario, here)

    document = results.document(chosen)
    show(document, Console())
    _write(document, json_path)
    if publish:
        page.publish(document)


def _write(document: Document, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1))


def show(document: Document, console: Console) -> None:
    """Prints every table."""
    for table in tables.tables(document):
        drawn = Table(title=table.title, caption=table.note, box=box.SIMPLE, padding=(0, 1, 0, 0))
        drawn.title_justify = drawn.caption_justify = "left"
        for heading in table.headings:
            drawn.add_column(heading, justify="right" if heading else "left")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for name, reason in document["left_out"].items():
        console.print(f"left out: {document['titles'].get(name, name)} ({reason})")


def _runs(
    chosen: Sequence[Question], names: Sequence[str], here: Place, results: Results
) -> list[tuple[Question, dict[str, Callable[[], Figures | Rest]]]]:
    """For each scenario how to run it with each contender; who is needed is installed, once, and
    who can't be is left out, with the reason."""

    @cache
    def installed(maker: type[Contender | Door]) -> Any:
        contender = maker(here)
        try:
            contender.install()
        except Missing as missing:
            results.left_out[contender.name] = str(missing)
            return None
        return contender

    def runs(scenario: Question) -> dict[str, Callable[[], Figures | Rest]]:
        start, makers = _way(scenario)
        return {
            name: partial(start, scenario, contender, here)
            for name in names
            if name in makers and (contender := installed(makers[name]))
        }

    return [(scenario, runs(scenario)) for scenario in chosen]


def _way(scenario: Question) -> tuple[Callable[..., Figures | Rest], Mapping[str, Any]]:
    """How a scenario is run, and with whom."""
    match scenario:
        case Calling():
            return doors_run.run, DOORS
        case Resting():
            # Of ours once: all its processes are running, whoever is asked.
            return run.rest, {n: m for n, m in CONTENDERS.items() if m not in OURS_BESIDES}
        case Scenario():
            return run.run, CONTENDERS | PARTS


def _profiled(scenario: Scenario, here: Place) -> dict[str, dict[str, dict[str, float]]]:
    """Where the CPU of ours goes, in a run of its own: the profiler takes some of the machine."""
    contender, profile = OursProfiled(here), Profile()
    contender.install()
    run.run(scenario, contender, here, watch=profile.watching)
    return {Ours.name: profile.shares}


def _among(known: Mapping[str, object], names: Sequence[str] | None) -> list[str]:
    if unknown := set(names or ()) - known.keys():
        raise typer.BadParameter(f"{unknown.pop()!r} is none of: {', '.join(known)}")
    return list(names or known)


if __name__ == "__main__":
    typer.run(main)
