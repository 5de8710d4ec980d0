"""What the honest code shows: which test runs which line of `payments`, and how long it takes.

Each test runs alone, in a fork of the warm process, so that all it runs is its own, also what runs
in processes that it starts. One that fails there is not asked about mutants.

What is learned is kept in layers, each with the texts of the modules as they were: of two layers
that know a file of tests the newer one counts. Where a module has changed since, its lines are
found again by what stands around them; so neither a change in `payments` nor a few new tests ask
for everything anew.
"""

import difflib
import gzip
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from tests.mutants.crew import Asked, Crew
from tests.mutants.fates import SURVIVED

LIKE = 0.5  # so much of its text has a module that was renamed
LEAST_S = 0.01  # the least that a test takes
TOLD_EVERY = 500  # tests
Lines = dict[str, dict[int, list[str]]]  # path → line → tests


@dataclass
class Honest:
    """What the honest run showed."""

    lines: Lines
    seconds: dict[str, float]  # as on an idle machine, without fixtures that tests share
    breadth: dict[str, int] = field(default_factory=dict)  # how many lines each test runs
    shared_s: dict[str, float] = field(default_factory=dict)  # what those fixtures add, when alone
    alone_s: dict[str, float] = field(default_factory=dict)  # all of it, as it was in that run

    def among(self, there: Iterable[str]) -> "Honest":
        """Of these tests only: others are gone, or have other names now."""
        names = self.seconds.keys() & set(there)
        lines = {
            path: {line: [test for test in tests if test in names] for line, tests in known.items()}
            for path, known in self.lines.items()
        }
        return Honest(
            lines,
            {test: self.seconds[test] for test in names},
            {test: self.breadth[test] for test in names},
            {test: self.shared_s[test] for test in names},
            {test: self.alone_s[test] for test in names},
        )

    def for_lines(self, path: str, lines: set[int]) -> set[str]:
        known = self.lines.get(path, {})
        return {test for line in lines for test in known.get(line, ())}


def learn(
    root: Path, folder: Path, crew: Crew, paths: Sequence[str], say: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run each test that the crew has collected, and keep what it showed as a layer, also when it
    is interrupted: then of those files of tests that are through. How many passed, and which did
    not."""
    traces = folder / f"traces-{os.getpid()}"
    traces.mkdir()
    texts = {path: (root / path).read_text() for path in paths}
    tests: dict[str, Any] = {}
    failed = []
    try:
        for wish, answer in crew.each(_wishes(crew.tests, traces)):
            (test,) = wish["tests"]
            file = Path(wish["trace"])
            told = json.loads(file.read_text()) if file.exists() else {"passed": False}
            if answer["fate"] == SURVIVED and told.pop("passed"):
                tests[test] = told
            else:
                failed.append(test)
            file.unlink(missing_ok=True)
            if (done := len(tests) + len(failed)) % TOLD_EVERY == 0:
                say(f"  {done} of {len(crew.tests)}")
    finally:
        shutil.rmtree(traces)
        open_files = {file_of(test) for test in {*crew.tests}.difference(tests, failed)}
        through = {file_of(test) for test in crew.tests} - open_files
        kept = {test: told for test, told in tests.items() if file_of(test) in through}
        _keep(folder / "learned", {"files": sorted(through), "texts": texts, "tests": kept})
    return len(tests), failed


def _keep(learned: Path, layer: dict[str, Any]) -> None:
    learned.mkdir(exist_ok=True)
    whole = learned / f"{time.time():.0f}-{os.getpid()}.part"
    with gzip.open(whole, "wt", compresslevel=3) as out:
        json.dump(layer, out)
    whole.rename(whole.with_suffix(".json.gz"))


def is_learned(folder: Path) -> bool:
    return any((folder / "learned").glob("*.json.gz"))


def load(root: Path, folder: Path, paths: Sequence[str]) -> Honest:
    """All layers as one, with lines as they are in the modules now."""
    lines: Lines = defaultdict(lambda: defaultdict(list))
    honest = Honest(lines, {})
    seen: set[str] = set()
    for file in sorted((folder / "learned").glob("*.json.gz"), reverse=True):
        with gzip.open(file, "rt") as layer_file:
            layer = json.load(layer_file)
        where = _follow(layer["texts"], {path: (root / path).read_text() for path in paths})
        clock = _Clock(layer["tests"].values())
        for test, told in layer["tests"].items():
            if file_of(test) in seen:
                continue
            honest.seconds[test] = clock.idle_s(told["seconds"], told["cpu_s"])
            honest.shared_s[test] = told["shared_s"] / clock.busy
            honest.alone_s[test] = told["seconds"] + told["shared_s"]
            honest.breadth[test] = sum(map(len, told["lines"].values()))
            for path, numbers in told["lines"].items():
                if path in where:
                    now, moved = where[path]
                    for line in moved.now(numbers):
                        lines[now][line].append(test)
        seen |= set(layer["files"])
    return honest


class _Clock:
    """What tests of a layer would take on an idle machine. A busy one makes computing slower, and
    waiting not; a test and its database take about twice the CPU time of the test."""

    def __init__(self, tests: Iterable[dict[str, Any]]) -> None:
        known = list(tests)
        # What each pays for being traced, and alone.
        self._base_s = min((told["cpu_s"] for told in known), default=0.0)
        ratios = [told["seconds"] / (2 * told["cpu_s"]) for told in known if told["cpu_s"]]
        self.busy = max(1.0, median(ratios)) if ratios else 1.0

    def idle_s(self, seconds: float, cpu_s: float) -> float:
        waiting_s = max(0.0, seconds - 2 * self.busy * 2 * cpu_s)
        return LEAST_S + 2 * (cpu_s - self._base_s) + waiting_s


def _follow(before: dict[str, str], now: dict[str, str]) -> dict[str, tuple[str, "_Moved"]]:
    """By the path that a module had: the one that it has, and where its lines are. One that was
    renamed is found by its text."""
    found = {path: path for path in before if path in now}
    fresh = [path for path in now if path not in before]
    for path in before.keys() - found.keys():
        likeness = [(_likeness(before[path], now[other]), other) for other in fresh]
        best, other = max(likeness, default=(0.0, ""))
        if best > LIKE:
            found[path] = other
    return {old: (new, _Moved(before[old], now[new])) for old, new in found.items()}


def _likeness(one: str, other: str) -> float:
    lines, others = one.splitlines(), other.splitlines()
    return difflib.SequenceMatcher(None, lines, others, autojunk=False).quick_ratio()


class _Moved:
    """Where lines of a text are in another that it has become."""

    def __init__(self, before: str, after: str) -> None:
        self._same = before == after
        if not self._same:
            self._before, self._after = before.splitlines(), after.splitlines()

    def now(self, numbers: Sequence[int]) -> set[int]:
        """A line that is gone stands for all that is new in its place."""
        if self._same:
            return set(numbers)
        asked = set(numbers)
        return {new for old, news in self._map().items() if old in asked for new in news}

    @cache  # noqa: B019  # lives as long as the loading
    def _map(self) -> dict[int, set[int]]:
        moved: dict[int, set[int]] = defaultdict(set)
        matcher = difflib.SequenceMatcher(a=self._before, b=self._after, autojunk=False)
        for tag, a, a_end, b, b_end in matcher.get_opcodes():
            if tag == "equal":
                for offset in range(a_end - a):
                    moved[a + 1 + offset].add(b + 1 + offset)
            else:
                # Whoever ran what stood here, or (where nothing did) the lines around it, may run
                # any of what stands here now.
                around = range(a + 1, a_end + 1) if a_end > a else (a, a + 1)
                for old in around:
                    moved[old] |= set(range(b + 1, b_end + 1))
        return moved


def _wishes(tests: Sequence[str], traces: Path) -> Iterator[Asked]:
    for number, test in enumerate(tests):
        trace = str(traces / f"{number}.json")
        # Nothing is known of how long it may take: it is given a minute or so.
        yield {"mutant": None, "tests": [test], "seconds": [10.0], "trace": trace}


def file_of(test: str) -> str:
    return test.split("::", maxsplit=1)[0]
