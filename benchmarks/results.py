"""The results of a run as a document: all figures of all rounds, and what they were measured on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.run import Figures, Rest
from benchmarks.scenarios import Calling, Resting, Scenario

Document = dict[str, Any]


@dataclass
class Results:
    """Filled as the rounds go, then written as JSON. Tables and plot are drawn from the document
    alone, so that they can be drawn again without measuring."""

    machine: Mapping[str, Any]
    titles: Mapping[str, str]
    left_out: dict[str, str] = field(default_factory=dict)  # contender → why
    rounds: dict[str, dict[str, list[Figures | Rest]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    parts: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def document(self, chosen: Iterable[Scenario | Resting | Calling]) -> Document:
        """For a program."""
        return {
            "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
            "machine": dict(self.machine),
            "titles": dict(self.titles),
            "left_out": self.left_out,
            "scenarios": {
                scenario.name: {
                    "scenario": {"kind": type(scenario).__name__.lower()} | asdict(scenario),
                    "rounds": {
                        name: [asdict(figures) for figures in runs]
                        for name, runs in self.rounds[scenario.name].items()
                    },
                }
                for scenario in chosen
            },
            "parts": self.parts,
        }


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    most: float


def spread(runs: Iterable[Mapping[str, Any]], figure: str) -> Spread:
    """Of a figure by its name. Of one that is told by process: `own_cpu_ms` is the sum over the
    contender's own, `postgres_cpu_ms` and `broker_cpu_ms` are those of the servers."""
    values = [_value(run, figure) for run in runs]
    return Spread(median(values), min(values), max(values))


def by_process(runs: Iterable[Mapping[str, Any]], figure: str) -> dict[str, float]:
    """The median for each of the contender's own processes."""
    runs = list(runs)
    return {
        role: median(run[figure][role] for run in runs)
        for role in runs[0][figure]
        if role not in SERVERS
    }


SERVERS = ("postgres", "redis", "rabbitmq")  # every other role is the contender's own


def _value(run: Mapping[str, Any], figure: str) -> float:
    kind, _, told = figure.partition("_")
    match kind:
        case "own":
            return sum(value for role, value in run[told].items() if role not in SERVERS)
        case "postgres":
            return float(run[told]["postgres"])
        case "broker":
            return sum(value for role, value in run[told].items() if role in SERVERS[1:])
        case _:
            return float(run[figure])
