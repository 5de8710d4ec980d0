"""A worker of `make mutants`: `python -m tests.mutants.worker LOG SUITES…`.

It has servers of its own, reads wishes from its input, a line each, and answers in lines. What can
be done in the warm process is done there; for the rest there is a fresh import, in a fork of this
one, which has imported everything but `payments`.
"""

import importlib
import json
import os
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tests.mutants.fates import SURVIVED
from tests.mutants.mutations import Mutant
from tests.mutants.runner import WARM, Runner
from tests.mutants.warm import CANNOT, Answer, Warm, Wish, warm

ROOT = Path(__file__).parents[2]
FORKS_MAX = 10**7  # of the warm process, in whose numbers of forks no other has a part


def main(log: str, *suites: str) -> None:
    """Until the input ends."""
    from local.embedded import throwaway
    from tests.support import databases

    answers = os.dup(1)
    os.dup2(2, 1)
    with throwaway.servers(durable=False) as servers:
        databases.make_template(servers.postgres)
        _import_all_but_payments()
        cold = Runner(ROOT, servers, first=FORKS_MAX)
        with warm(ROOT, servers, suites, Path(log)) as other:
            _say(answers, {"tests": sorted(other.tests)})
            for number, line in enumerate(sys.stdin, 1):
                _say(answers, _answer(json.loads(line), number, other, cold))


def _import_all_but_payments() -> None:
    for module in WARM:
        importlib.import_module(module)
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    # A plug-in may have imported some of it: a fork must find all of it new.
    for name in [*sys.modules]:
        if name.split(".")[0] == "payments":
            del sys.modules[name]


def _answer(asked: dict[str, Any], number: int, other: Warm, cold: Runner) -> dict[str, Any]:
    began = time.monotonic()
    mutant = asked["mutant"] and Mutant(**asked["mutant"])
    wish = Wish(mutant, asked["tests"], asked["seconds"], number, asked.get("trace"))
    seconds, cannot = dict(zip(wish.tests, wish.seconds, strict=True)), None
    answer = Answer(CANNOT, "asked for") if asked.get("cold") else other.run(wish)
    if answer.fate == CANNOT:
        cannot = answer.by
        fate = cold.run(mutant, wish.tests, seconds)
        answer = Answer(fate)
    elif answer.fate == SURVIVED and answer.left:
        cannot = "some of its tests have used it when they were imported"
        answer = Answer(cold.run(mutant, answer.left, seconds))
    return {
        "fate": answer.fate,
        "by": answer.by,
        "cold": cannot,
        "took": round(time.monotonic() - began, 2),
    }


def _say(answers: int, what: dict[str, Any]) -> None:
    os.write(answers, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
