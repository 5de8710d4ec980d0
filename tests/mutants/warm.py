"""A process that has everything warm, `payments` and the collected tests too, and forks mutants.

It is a pytest session (`mother.py`) in a fork of the worker. What is asked of it is a line on its
input, what it answers a line on its output.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutants.mutations import Mutant
from tests.support import children

CANNOT = "cannot"  # a fate: it needs a fresh import


@dataclass(frozen=True)
class Wish:
    """A mutant (None: the honest code) and the tests to hold it against, in this order."""

    mutant: Mutant | None
    tests: Sequence[str]
    seconds: Sequence[float]  # what each of them took in the honest run
    number: int  # of the fork, among all that use the same servers
    trace: str | None = None  # a file for the lines of `payments` that were run, and by whom


@dataclass(frozen=True)
class Answer:
    """What became of it. `by`: the test that failed, or during which time was up; or why not.
    `left`: tests that were not run, since they would not see the mutant whole."""

    fate: str
    by: str | None = None
    left: Sequence[str] = ()


class Warm:
    """Such a process. Use as `with warm(…) as …`."""

    def __init__(self, pid: int, wishes: int, answers: int) -> None:
        self._pid = pid
        self._wishes = os.fdopen(wishes, "w")
        self._answers = os.fdopen(answers)
        self.tests: frozenset[str] = frozenset(self._answer()["tests"])

    def run(self, wish: Wish) -> Answer:
        self._wishes.write(json.dumps(asdict(wish)) + "\n")
        self._wishes.flush()
        return Answer(**self._answer())

    def end(self) -> None:
        """It ends by itself when there are no more wishes."""
        self._wishes.close()
        self._answers.close()
        os.waitpid(self._pid, 0)

    def _answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the warm process has ended; its log says why")
        return json.loads(line)


@contextmanager
def warm(root: Path, servers: Any, suites: Sequence[str], log: Path) -> Iterator[Warm]:
    """Fork it off, with these suites collected. The caller must not have imported `payments`."""
    wishes, answers = os.pipe(), os.pipe()
    pid = children.fork()
    if pid == 0:
        status = 1
        try:
            os.close(wishes[1])
            os.close(answers[0])
            _speak_into(log)
            from tests.mutants import mother

            status = mother.be(root, servers, suites, wishes[0], answers[1])
        finally:
            os._exit(status)
    os.close(wishes[0])
    os.close(answers[1])
    running = Warm(pid, wishes[1], answers[0])
    try:
        yield running
    finally:
        running.end()


def _speak_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (descriptor, 1), (descriptor, 2)):
        os.dup2(source, target)
