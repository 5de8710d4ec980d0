"""The nursery of a mutant: a fork of it, so that processes that tests start are mutants, too."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from tests.support import children, nursery

# What each process of the nursery does before it becomes a program.
before_each: list[Callable[[], None]] = []
_mothers: list["_Mother"] = []
_start_honest = nursery._start
_become = nursery._become


class _Mother:
    """A process that forks, as the nursery handles the one that it starts."""

    def __init__(self, pid: int, wishes: int, news: int) -> None:
        self._pid = pid
        self.stdin = os.fdopen(wishes, "w")
        self.stdout = os.fdopen(news)

    def wait(self, timeout: float | None = None) -> int:
        """Its status; it ends with its input, whatever its children do."""
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def prepare() -> None:
    """In the process that will be forked: import what the nursery does."""
    for module in nursery.MODULES:
        import_module(module)

    def start() -> object:
        return _mothers.pop() if _mothers else _start_honest()

    def become(wish: object) -> None:
        for step in before_each:
            step()
        _become(wish)  # type: ignore[arg-type]

    nursery._start = start  # type: ignore[assignment]
    nursery._become = become  # type: ignore[assignment]


def bear(*, without: Sequence[int]) -> None:
    """Make the nursery of this fork, before tests have threads; it closes these descriptors."""
    wishes, news = os.pipe(), os.pipe()
    pid = children.fork()
    if pid == 0:
        try:
            for descriptor in (wishes[1], news[0], *without):
                os.close(descriptor)
            os.dup2(wishes[0], 0)
            os.dup2(news[1], 1)
            os.close(wishes[0])
            os.close(news[1])
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.path.insert(0, str(nursery.PLUGINS))
            nursery._serve()
        finally:
            os._exit(0)
    os.close(wishes[0])
    os.close(news[1])
    _mothers.append(_Mother(pid, wishes[1], news[0]))
