"""What is known of mutants: sums, and every survivor by name."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.mutants.excused import excuse_for
from tests.mutants.fates import KILLED, SURVIVED, TIMEOUT, UNSEEN
from tests.mutants.mutations import Mutant

Known = Mapping[str, dict[str, Any]]

HEAD = """# Survivors

Mutants of `payments` that no test has killed, by module; `make mutants` writes this while it runs.
`survived`: tests ran the line, and passed. `unseen`: no test runs it at all.

Write a test, then hold the survivors of the module against it (this folder is shared by setting
`MUTANTS_FOLDER` to the folder in which this file stands):

    make mutants ONLY=payments/FILE.py ARGS="--learn-more tests/unit/test_FILE.py --survivors"

What may live gets its reason in `tests/mutants/excused.py`.
"""


def results_in(path: Path) -> dict[str, dict[str, Any]]:
    """What is known of mutants from earlier runs, by their id; the last word counts."""
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line)
    return {line["id"]: line for line in lines}


def unexcused(mutants: Sequence[Mutant], known: Known) -> list[Mutant]:
    """Those that live, with nobody who says why that is right."""
    left = [m for m in mutants if m.id in known and known[m.id]["fate"] in (SURVIVED, UNSEEN)]
    return [mutant for mutant in left if excuse_for(mutant) is None]


def summary(mutants: Sequence[Mutant], known: Known) -> str:
    """One line of sums."""
    fates = Counter(known[mutant.id]["fate"] for mutant in mutants if mutant.id in known)
    killed = fates[KILLED] + fates[TIMEOUT]
    left = len(unexcused(mutants, known))
    excused = fates[SURVIVED] + fates[UNSEEN] - left
    return (
        f"{fates.total()} of {len(mutants)} run: {killed} killed ({fates[TIMEOUT]} by time), "
        f"{fates[SURVIVED]} survived, {fates[UNSEEN]} seen by no test; {excused} excused;"
        f" killed of those that count: {100 * killed / max(1, fates.total() - excused):.1f} %"
    )


def survivors(mutants: Sequence[Mutant], known: Known) -> Iterator[str]:
    """A section for each module that has been begun, in the order of the mutants."""
    for path in dict.fromkeys(mutant.path for mutant in mutants):
        here = [mutant for mutant in mutants if mutant.path == path]
        ran = sum(mutant.id in known for mutant in here)
        if not ran:
            continue
        left = unexcused(here, known)
        going = "" if ran == len(here) else f", {len(here) - ran} not run yet"
        yield f"\n## {path}: {ran - len(left)} of {ran} killed or excused{going}\n"
        yield from (f"    {known[m.id]['fate']:8} {m}" for m in left)


def write(path: Path, mutants: Sequence[Mutant], known: Known) -> None:
    """The survivors as a page, for people who work on them while others are run."""
    now = time.strftime("%H:%M", time.gmtime())
    text = "\n".join((HEAD, f"At {now} UTC: {summary(mutants, known)}", *survivors(mutants, known)))
    part = path.with_suffix(".part")
    part.write_text(text + "\n")
    part.rename(path)
