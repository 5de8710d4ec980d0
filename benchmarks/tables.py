"""The tables: medians, spread and ratios of one document, for a screen or a page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Document, Spread, by_process, spread

Runs = Sequence[Mapping[str, Any]]
Rows = Mapping[str, Runs]  # contender → its rounds
Built = tuple[list[str], dict[str, list[str]]]  # headings, and contender → cells
Builder = Callable[[Rows], Built]


@dataclass(frozen=True)
class Table:
    """`rows` hold text, under `headings`."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def tables(document: Document) -> Iterator[Table]:
    """Two for each scenario, what came of it and what it cost, and one of what was profiled."""
    for name, told in document["scenarios"].items():
        scenario, rounds = told["scenario"], told["rounds"]
        if not rounds:
            continue
        build = _BUILDERS["paced" if scenario.get("rate_per_s") else scenario["kind"]]
        title = f"{scenario['label']} ({name}): {scenario['question']}"
        yield _table(title, build, rounds, _note(rounds))
        if scenario["kind"] == "resting":
            yield _table(f"{scenario['label']}, by process", _rest_by_process, rounds, _REST_UNITS)
        else:
            yield _table(f"{scenario['label']}, by process", _cost_by_process, rounds, _UNITS)
    for name, parts in document["parts"].items():
        yield Table(
            f"{name}: share of the time of each process's interpreter under W1, by part",
            ["", "part", "share"],
            [
                [role, part, f"{100 * share:.0f} %"]
                for role, shares in parts.items()
                for part, share in shares.items()
                if share >= 0.01
            ],
            "Sampled 200 times a second in a run of its own, which is not among those above.",
        )


def _table(title: str, build: Builder, rounds: Rows, note: str) -> Table:
    headings, rows = build(rounds)
    return Table(title, ["", *headings], [[name, *cells] for name, cells in rows.items()], note)


_UNITS = "CPU in ms per charge, memory (RSS) in MB; medians."
_REST_UNITS = "CPU in per cent of one core, memory (RSS) in MB; medians."


def _note(rounds: Rows) -> str:
    number = len(next(iter(rounds.values())))
    runs = [run for each in rounds.values() for run in each]
    others, stolen = spread(runs, "others_percent"), spread(runs, "stolen_percent")
    return (
        f"Median of {number}, least–most. Meanwhile other programs used {_range(others)} % of the "
        f"machine's CPU, and its hypervisor withheld {_range(stolen)} %."
    )


def _at_once(rounds: Rows) -> Built:
    rate = {name: spread(runs, "charges_per_s") for name, runs in rounds.items()}
    return ["charges/s", "of ceiling", "× plain", "× TaskIQ", *_COST], {
        name: [
            _spread(rate[name]),
            _ratio(rate[name], rate.get("ceiling"), digits=2),
            _ratio(rate[name], rate.get("plain")),
            _ratio(rate[name], rate.get("taskiq")),
            *_cost(runs),
        ]
        for name, runs in rounds.items()
    }


def _paced(rounds: Rows) -> Built:
    p50 = {name: spread(runs, "p50_ms") for name, runs in rounds.items()}
    p99 = {name: spread(runs, "p99_ms") for name, runs in rounds.items()}
    headings = ["p50 ms", "× ceiling", "p99 ms", "× ceiling", "settled p50", "settled p99", *_COST]
    return headings, {
        name: [
            _spread(p50[name]),
            _ratio(p50[name], p50.get("ceiling")),
            _spread(p99[name]),
            _ratio(p99[name], p99.get("ceiling")),
            _spread(spread(runs, "settled_p50_ms")),
            _spread(spread(runs, "settled_p99_ms")),
            *_cost(runs),
        ]
        for name, runs in rounds.items()
    }


def _calling(rounds: Rows) -> Built:
    own = {name: spread(runs, "own_cpu_ms") for name, runs in rounds.items()}
    return ["charges/s", "p50 ms", "p99 ms", "CPU × lean", *_COST], {
        name: [
            _spread(spread(runs, "charges_per_s")),
            _spread(spread(runs, "p50_ms")),
            _spread(spread(runs, "p99_ms")),
            _ratio(own[name], own.get("lean"), digits=2),
            *_cost(runs),
        ]
        for name, runs in rounds.items()
    }


def _resting(rounds: Rows) -> Built:
    return ["% of a core", "PostgreSQL", "broker"], {
        name: [
            _spread(spread(runs, "own_cpu_percent")),
            _number(spread(runs, "postgres_cpu_percent").median),
            _number(spread(runs, "broker_cpu_percent").median),
        ]
        for name, runs in rounds.items()
    }


def _rest_by_process(rounds: Rows) -> Built:
    return ["CPU", "memory"], {
        name: [_each(by_process(runs, "cpu_percent")), _each(by_process(runs, "rss_mb"), digits=0)]
        for name, runs in rounds.items()
    }


def _cost_by_process(rounds: Rows) -> Built:
    return ["CPU", "memory"], {
        name: [_each(by_process(runs, "cpu_ms")), _each(by_process(runs, "rss_mb"), digits=0)]
        for name, runs in rounds.items()
    }


_BUILDERS: Mapping[str, Builder] = {
    "scenario": _at_once,
    "paced": _paced,
    "calling": _calling,
    "resting": _resting,
}
# Per charge.
_COST = ["own CPU ms", "PG CPU", "broker CPU", "tx", "WAL kB"]


def _cost(runs: Runs) -> list[str]:
    return [
        _spread(spread(runs, "own_cpu_ms")),
        _number(spread(runs, "postgres_cpu_ms").median),
        _number(spread(runs, "broker_cpu_ms").median),
        _number(spread(runs, "transactions").median),
        _number(spread(runs, "wal_kb").median),
    ]


def _each(values: Mapping[str, float], *, digits: int = 2) -> str:
    return " · ".join(f"{role} {value:.{digits}f}" for role, value in values.items())


def _ratio(value: Spread, to: Spread | None, *, digits: int = 1) -> str:
    return f"{value.median / to.median:.{digits}f}" if to and to.median else "–"


def _spread(values: Spread) -> str:
    if values.least == values.most:
        return _number(values.median)
    return f"{_number(values.median)} ({_range(values)})"


def _range(values: Spread) -> str:
    return f"{_number(values.least)}–{_number(values.most)}"


def _number(value: float) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
