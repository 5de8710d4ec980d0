"""`make mutants`: how many small wrongs in `payments` would the tests notice?

make mutants                          # all of them: hours; goes on where it stopped
make mutants SAMPLE=200 SEED=1        # a sample
make mutants SHARD=1/8                # an eighth, for another machine
make mutants ONLY=payments/lifecycle/accepting/charges.py # one module, or a folder
make mutants ARGS=--report            # what is known so far
"""

import argparse
import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.mutants import selection
from tests.mutants.excused import excuse_for
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.runner import KILLED, SURVIVED, TIMEOUT, UNSEEN, results_in, runner
from tests.mutants.selection import SUITES, Selection

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".mutants"
RESULTS = FOLDER / "results.jsonl"


def main() -> int:
    """0 when every mutant that was run is killed or excused."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="payments")
    parser.add_argument("--sample", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--suites", nargs="*", default=list(SUITES))
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--learn", action="store_true", help="run the honest suite again")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen = choose(given.only, sample=given.sample, seed=given.seed, shard=given.shard)
    if given.report:
        return report(chosen)
    if given.worker:
        work(chosen)
        return 0
    learn(given.suites, jobs=given.jobs, again=given.learn)
    spread(given, chosen)
    return report(chosen)


def choose(only: str, *, sample: int | None, seed: int, shard: str) -> list[Mutant]:
    """The mutants that are asked for, in an order that mixes the modules."""
    found = [
        mutant
        for path in paths()
        if path == only or path.startswith(only.rstrip("/") + "/") or only == "payments"
        for mutant in mutants_of(ROOT, path)
    ]
    Random(seed).shuffle(found)
    found = found[:sample]
    number, of = map(int, shard.split("/"))
    return found[number - 1 :: of]


def paths() -> list[str]:
    """All modules of `payments`, from the root of the checkout."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "payments").rglob("*.py"))


def learn(suites: Sequence[str], *, jobs: int, again: bool) -> None:
    """The honest run: once for each state of the code, since lines move with it."""
    digest = hashlib.sha256()
    for path in paths():
        digest.update((ROOT / path).read_bytes())
    mark = FOLDER / "of"
    if not again and mark.exists() and mark.read_text() == digest.hexdigest():
        return
    _say("the honest run: which test runs which line")
    selection.learn(ROOT, FOLDER / "coverage", tuple(suites), jobs=jobs)
    mark.write_text(digest.hexdigest())
    # A mutant's id holds its line and number: results of other code are of other mutants.
    RESULTS.rename(FOLDER / "results.before.jsonl") if RESULTS.exists() else None


def spread(given: argparse.Namespace, chosen: list[Mutant]) -> None:
    """Several workers at once, each a process with its own servers."""
    known = results_in(RESULTS)
    left = sum(mutant.id not in known for mutant in chosen)
    _say(f"{len(chosen)} mutants, {len(chosen) - left} known already, {left} to run")
    if not left:
        return
    number, of = map(int, given.shard.split("/"))
    workers = []
    for i in range(given.jobs):
        # A shard of the shard: those of this worker, and of no other.
        shard = f"{number + i * of}/{of * given.jobs}"
        command = [sys.executable, "-m", "tests.mutants", "--worker", "--only", given.only]
        command += ["--seed", str(given.seed), "--shard", shard]
        command += ["--sample", str(given.sample)] if given.sample else []
        workers.append(subprocess.Popen(command, cwd=ROOT))
    for worker in workers:
        if worker.wait() != 0:
            raise SystemExit("a worker of the mutants ended early; what it found is kept")


def work(chosen: list[Mutant]) -> None:
    """Run what isn't known yet; each result is a line on disk at once."""
    import json

    known = results_in(RESULTS)
    todo = [mutant for mutant in chosen if mutant.id not in known]
    with runner(ROOT) as run, RESULTS.open("a", buffering=1) as results:
        tests = selection.load(ROOT, FOLDER / "coverage")
        picks = Selection(ROOT, paths(), tests)
        _prove_that_honest_code_passes(run, picks, tests, chosen)
        for done, mutant in enumerate(todo, 1):
            began = time.monotonic()
            names = picks.for_mutant(mutant)
            fate = run.run(mutant, names, tests.seconds)
            took = round(time.monotonic() - began, 2)
            line = {
                "id": mutant.id, "fate": fate, "tests": len(names), "took": took,
                "mutant": str(mutant),
            }  # fmt: skip
            results.write(json.dumps(line) + "\n")
            if fate in (SURVIVED, UNSEEN) or done % 50 == 0:
                _say(f"{done}/{len(todo)} {fate} {mutant}")


def _prove_that_honest_code_passes(
    run: object, picks: Selection, tests: selection.Honest, chosen: list[Mutant]
) -> None:
    """Else everything would be called killed."""
    for mutant in chosen[:3]:
        names = picks.for_mutant(mutant)[:40]
        fate = run.run(None, names, tests.seconds)  # type: ignore[attr-defined]
        if fate not in (SURVIVED, UNSEEN):
            raise SystemExit(f"the honest code is {fate} by the tests of {mutant}: {names[:5]}")


def report(chosen: list[Mutant]) -> int:
    """Sums, and every survivor."""
    known = results_in(RESULTS)
    ran = [mutant for mutant in chosen if mutant.id in known]
    fates = Counter(known[mutant.id]["fate"] for mutant in ran)
    left = [m for m in ran if known[m.id]["fate"] in (SURVIVED, UNSEEN)]
    unexcused = 0
    for mutant in sorted(left, key=lambda m: (m.path, m.line)):
        reason = excuse_for(mutant)
        unexcused += reason is None
        _say(f"  {known[mutant.id]['fate']:8} {mutant}" + (f"  ({reason})" if reason else ""))
    killed = fates[KILLED] + fates[TIMEOUT]
    counted = len(ran) - (len(left) - unexcused)
    _say(
        f"{len(ran)} of {len(chosen)} run: {killed} killed (of them {fates[TIMEOUT]} by time),"
        f" {fates[SURVIVED]} survived, {fates[UNSEEN]} seen by no test;"
        f" {len(left) - unexcused} excused; killed of those that count:"
        f" {100 * killed / max(1, counted):.1f} %"
    )
    return 1 if unexcused else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
