"""The report: medians over the rounds and ratios to the other one, for people and programs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.run import Figures
from benchmarks.scenarios import Calling, Scenario

SERVER_ROLES = ("postgres", "redis")  # every other role is a process of the contender's own

Rounds = Mapping[str, Sequence[Figures]]  # contender → what each round showed


def summary(rounds: Rounds) -> dict[str, dict[str, Any]]:
    """Per contender the median of each figure, then the ratios of ours to the other's."""
    medians: dict[str, dict[str, Any]] = {name: _medians(runs) for name, runs in rounds.items()}
    others = [name for name in medians if name != "ours"]
    if others and "ours" in medians:
        medians["ratio"] = {
            figure: medians["ours"][figure] / value
            for figure, value in medians[others[0]].items()
            if figure in _RATIOS and value
        }
    return medians


def document(
    results: Mapping[str, Rounds],
    *,
    chosen: Sequence[Scenario | Calling],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything, for a program: the machine, and per scenario the summary and every round."""
    return {
        "machine": machine,
        "scenarios": {
            scenario.name: {
                "scenario": asdict(scenario),
                "summary": summary(results[scenario.name]),
                "rounds": {
                    name: [asdict(figures) for figures in runs]
                    for name, runs in results[scenario.name].items()
                },
            }
            for scenario in chosen
        },
    }


def show(scenario: Scenario | Calling, rounds: Rounds, *, console: Console) -> None:
    """Prints one scenario's table: a row per contender, and one of ratios."""
    medians = summary(rounds)
    columns, units = _layout(scenario)
    number = len(next(iter(rounds.values())))
    table = Table(
        title=f"{scenario.name}: {scenario.question}",
        caption=f"Median of {number} round{'s' * (number > 1)}. {units}",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
        caption_justify="left",
    )
    table.add_column(no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, figures in medians.items():
        if name == "ratio":
            table.add_section()
        table.add_row(
            "ratio" if name == "ratio" else name,
            *(
                _number(figures[figure], times=name == "ratio") if figure in figures else ""
                for figure in columns.values()
            ),
        )
    console.print(table)


def _layout(scenario: Scenario | Calling) -> tuple[dict[str, str], str]:
    """The columns, heading → figure, and what their units are."""
    if isinstance(scenario, Calling):
        return _CALLED, f"{_UNITS} Latencies in ms, from request to answer."
    if scenario.rate_per_s:
        return _PACED, f"{_UNITS} Latencies in ms, from due to webhook."
    return _AT_ONCE, _UNITS


_UNITS = (
    "Per charge: CPU in ms of the contender's own processes, of PostgreSQL and of Redis; write "
    "transactions (tx); WAL in kB."
)
_COST = {
    "own": "own_cpu_ms",
    "PG": "postgres_cpu_ms",
    "Redis": "redis_cpu_ms",
    "tx": "transactions",
    "WAL": "wal_kb",
}
_AT_ONCE = {"n": "requests", "charges/s": "charges_per_s"} | _COST
_PACED = {"n": "requests", "p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms"} | _COST
_CALLED = {"n": "requests", "charges/s": "charges_per_s", "p50": "p50_ms", "p99": "p99_ms"} | _COST
_RATIOS = {*_AT_ONCE.values(), *_PACED.values()} - {"requests"}


def _medians(runs: Sequence[Figures]) -> dict[str, Any]:
    def middle(figure: Callable[[Figures], float]) -> float:
        return median(figure(run) for run in runs)

    return {
        "requests": middle(lambda run: run.requests),
        "charges_per_s": middle(lambda run: run.charges_per_s),
        "own_cpu_ms": middle(_own_cpu_ms),
        "postgres_cpu_ms": middle(lambda run: run.cpu_ms["postgres"]),
        "redis_cpu_ms": middle(lambda run: run.cpu_ms["redis"]),
        "transactions": middle(lambda run: run.transactions),
        "wal_kb": middle(lambda run: run.wal_kb),
        "p50_ms": middle(lambda run: run.p50_ms),
        "p95_ms": middle(lambda run: run.p95_ms),
        "p99_ms": middle(lambda run: run.p99_ms),
        "repeats": middle(lambda run: run.repeats),
        "others_percent": middle(lambda run: run.others_percent),
        "stolen_percent": middle(lambda run: run.stolen_percent),
    }


def _own_cpu_ms(run: Figures) -> float:
    return sum(ms for role, ms in run.cpu_ms.items() if role not in SERVER_ROLES)


def _number(value: float, *, times: bool) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{'×' if times else ''}"
