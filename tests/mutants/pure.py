"""The short form: a fixed sample of modules that need no server, in some seconds.

python -m tests.mutants.pure 24                     # so many mutants, spread over all of them
python -m tests.mutants.pure 0 payments/lifecycle/backoff.py  # every one of a module
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.excused import excuse_for
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.runner import SURVIVED, Runner

ROOT = Path(__file__).parents[2]
# Each with the tests that stand nearest to it; these alone must kill.
PURE = {
    "payments/lifecycle/backoff.py": ["tests/unit/test_backoff.py"],
    "payments/lifecycle/settlement.py": ["tests/unit/test_settlement.py"],
    "payments/webhooks/draining/schedule.py": ["tests/unit/test_webhook_schedule.py"],
    "payments/catalog/quotes.py": ["tests/unit/test_quotes.py"],
}


def main(arguments: Sequence[str]) -> int:
    """0 when every one is killed or excused, and the honest code passes."""
    count = int(arguments[0]) if arguments else 24
    paths = list(arguments[1:]) or list(PURE)
    mutants = [mutant for path in paths for mutant in mutants_of(ROOT, path)]
    sample = mutants[:: max(1, len(mutants) // count)][:count] if count else mutants
    __import__("pytest")
    __import__("hypothesis")
    # Without the conftest, which starts servers and imports all of ours.
    run = Runner(ROOT, None, options=["--noconftest"])
    honest = [path for path in paths if run.run(None, PURE[path], {}) != SURVIVED]
    survivors = [mutant for mutant in sample if _survives(run, mutant)]
    sys.stdout.write(f"{len(sample)} mutants, {len(survivors)} survive\n")
    for mutant in survivors:
        sys.stdout.write(f"  {mutant}\n")
    for path in honest:
        sys.stdout.write(f"  the tests of {path} fail without any mutant\n")
    return 1 if survivors or honest else 0


def _survives(run: Runner, mutant: Mutant) -> bool:
    fate = run.run(mutant, PURE[mutant.path], {})
    return fate == SURVIVED and excuse_for(mutant) is None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
