"""`make mutants`: how many small wrongs in `payments` would the tests notice?

make mutants                          # all of them; goes on where it stopped
make mutants SAMPLE=200 SEED=1        # a sample
make mutants SHARD=1/8                # an eighth, for another machine
make mutants ONLY=payments/lifecycle/accepting/charges.py # one module, or a folder
make mutants ARGS=--report            # what is known so far
make mutants ONLY=… ARGS=--survivors  # again those that live
make mutants ARGS="--learn-more tests/unit/test_new.py"  # tests that were not there before
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from tests.mutants import learning, report
from tests.mutants.crew import Crew, crew
from tests.mutants.fates import SURVIVED, UNSEEN
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.order import rank
from tests.mutants.selection import BUDGET_S, Selection

ROOT = Path(__file__).parents[2]
# The suites that start whole systems are left out: they cost half a minute each, and a wrong that
# only they notice should be noticed by a nearer test.
SUITES = ("tests/unit", "tests/contract", "tests/integration")
REPORT_EVERY_S = 600.0
FEW = 500  # of so many mutants only those files of tests are collected that are asked


def main() -> int:
    """0 when every mutant that was run is killed or excused."""
    given = arguments()
    folder = Path(given.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = choose(given.only, sample=given.sample, seed=given.seed, shard=given.shard)
    results = folder / "results.jsonl"
    if given.learn_more:
        with crew(ROOT, folder, given.learn_more, jobs=given.jobs) as workers:
            learn(workers, folder)
    if given.learn or not learning.is_learned(folder):
        with crew(ROOT, folder, SUITES, jobs=given.jobs) as workers:
            learn(workers, folder)
    if not given.report:
        run = Run(folder, chosen, given)
        if todo := left(chosen, results, again=given.survivors):
            with crew(ROOT, folder, run.files(todo), jobs=given.jobs) as workers:
                run.run(workers, todo)
    known = report.results_in(results)
    for line in (*report.survivors(chosen, known), report.summary(chosen, known)):
        _say(line)
    return 1 if report.unexcused(chosen, known) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="payments")
    parser.add_argument("--sample", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--survivors", action="store_true", help="run again those that live")
    parser.add_argument("--learn", action="store_true", help="run the honest suite again")
    parser.add_argument("--learn-more", nargs="+", metavar="FILE", help="these files of tests only")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds of tests a mutant")
    parser.add_argument("--cold", action="store_true", help="import anew for each mutant")
    parser.add_argument(
        "--folder", default=os.environ.get("MUTANTS_FOLDER", str(ROOT / ".mutants"))
    )
    return parser.parse_args()


def choose(only: str, *, sample: int | None, seed: int, shard: str) -> list[Mutant]:
    """The mutants that are asked for, module by module."""
    found = [
        mutant
        for path in paths()
        if path == only or path.startswith(only.rstrip("/") + "/")
        for mutant in mutants_of(ROOT, path)
    ]
    if sample is not None:
        found = Random(seed).sample(found, min(sample, len(found)))
        found.sort(key=lambda mutant: (rank(mutant.path), mutant.number))
    number, of = map(int, shard.split("/"))
    return found[number - 1 :: of]


def paths() -> list[str]:
    """All modules of `payments`, from the root of the checkout, in the order of their weight."""
    found = (str(path.relative_to(ROOT)) for path in (ROOT / "payments").rglob("*.py"))
    return sorted(found, key=rank)


def learn(workers: Crew, folder: Path) -> None:
    """What the honest code shows, for tests that the workers have collected."""
    _say(f"the honest run of {len(workers.tests)} tests, each alone: which runs which line")
    passed, failed = learning.learn(ROOT, folder, workers, paths(), _say)
    _say(f"{passed} passed; {len(failed)} did not, or were skipped, and are not asked")
    for test in failed:
        _say(f"  {test}")


def left(chosen: Sequence[Mutant], results: Path, *, again: bool) -> list[Mutant]:
    """Which of them to run: those that nobody ran, and (if so wished) those that live."""
    known = report.results_in(results)
    lives = {one for one, told in known.items() if told["fate"] in (SURVIVED, UNSEEN)}
    todo = [m for m in chosen if m.id not in known or (again and m.id in lives)]
    _say(f"{len(chosen)} mutants, {len(chosen) - len(todo)} known already, {len(todo)} to run")
    return todo


class Run:
    """Mutants, held against the tests that can see them. Each result is a line on disk at once."""

    def __init__(self, folder: Path, chosen: Sequence[Mutant], given: argparse.Namespace) -> None:
        self._folder = folder
        self._chosen = chosen
        self._given = given
        self._tests = learning.load(ROOT, folder, paths())
        self._picks = Selection(ROOT, paths(), self._tests)
        self._results = folder / "results.jsonl"

    def files(self, todo: Sequence[Mutant]) -> list[str]:
        """What the workers have to collect: for few mutants not everything."""
        if len(todo) > FEW:
            return list(SUITES)
        names = {name for mutant in todo for name in self._picks.for_mutant(mutant)}
        files = {learning.file_of(name) for name in names}
        return sorted(file for file in files if (ROOT / file).exists()) or list(SUITES)

    def run(self, workers: Crew, todo: Sequence[Mutant]) -> None:
        """Until all are run."""
        self._tests = self._tests.among(workers.tests)
        self._picks = Selection(ROOT, paths(), self._tests)
        self._prove_that_honest_code_passes(workers, todo)
        reported = time.monotonic()
        mutants = {mutant.id: mutant for mutant in todo}
        for done, (wish, answer) in enumerate(workers.each(self._wishes(todo)), 1):
            mutant = mutants[wish["mutant"]["id"]]
            if answer["by"] is not None:
                self._picks.killed_by(mutant, answer["by"])
            self._note(mutant, tests=len(wish["tests"]), **answer)
            if answer["fate"] == SURVIVED or done % 50 == 0:
                _say(f"{done}/{len(todo)} {answer['fate']} {mutant}")
            if time.monotonic() - reported > REPORT_EVERY_S:
                self._report()
                reported = time.monotonic()
        self._report()

    def _wishes(self, todo: Sequence[Mutant]) -> Iterator[dict[str, Any]]:
        for mutant in todo:
            names = self._picks.for_mutant(mutant, budget_s=self._given.budget)
            if names:
                yield self._wish(mutant, names)
            else:
                self._note(mutant, tests=0, fate=UNSEEN)

    def _wish(self, mutant: Mutant | None, names: Sequence[str]) -> dict[str, Any]:
        alone = [self._tests.alone_s[name] for name in names]
        return {
            "mutant": mutant and asdict(mutant), "tests": names, "seconds": alone,
            "cold": self._given.cold,
        }  # fmt: skip

    def _note(self, mutant: Mutant, **told: Any) -> None:
        line = {"id": mutant.id, **told, "mutant": str(mutant), "at": int(time.time())}
        with self._results.open("a") as results:
            results.write(json.dumps(line) + "\n")

    def _report(self) -> None:
        known = report.results_in(self._results)
        report.write(self._folder / "survivors.md", self._chosen, known)

    def _prove_that_honest_code_passes(self, workers: Crew, todo: Sequence[Mutant]) -> None:
        """Else everything would be called killed."""
        names = [self._picks.for_mutant(mutant)[:40] for mutant in todo[:: len(todo) // 6 or 1]]
        for wish, answer in workers.each([self._wish(None, some) for some in names if some]):
            if answer["fate"] != SURVIVED:
                raise SystemExit(f"the honest code is {answer['fate']} by {answer['by'] or wish}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
