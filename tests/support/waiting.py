"""How long tests wait: until a thing is so, and never for a time.

A test says what it waits for. How long that may take is known here alone: generously, for whoever
waits for what comes loses nothing by it, and the longer the more others want the machine. What
never comes ends in an error that says what was seen last; what hangs, by pytest-timeout.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

# For a machine that has nothing else to do: above twice what the longest recovery takes there, that
# of a worker which died with a lease of the default settings.
IDLE_S = 60.0


def slowness() -> float:
    """How many want each core of this machine now; 1 if there is room for all. The load is that of
    the last minute: in the first one of a run, only the processes that share it tell of the next.
    """
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1.0, max(os.getloadavg()[0], beside) / (os.cpu_count() or 1))


def patience_s(idle_s: float | None = None) -> float:
    """What may pass now before what was waited for counts as never coming; `idle_s` on a machine
    that has nothing else to do.

    For what asks for a number of seconds itself: `subprocess.run`, `Future.result`, a client. It
    ends a wait that is in vain, and proves nothing about how long anything takes.
    """
    return (IDLE_S if idle_s is None else idle_s) * slowness()


class Wait:
    """A wait that goes on, for what is called again and again and can't call `wait_for`."""

    def __init__(self, idle_s: float | None = None) -> None:
        self._began, self._idle_s = time.monotonic(), idle_s

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def is_in_vain(self) -> bool:
        return self.seconds > patience_s(self._idle_s)


def wait_for(
    read: Callable[[], T],
    *,
    what: str,
    until: Callable[[T], object] = bool,
    every_s: float = 0.02,
    idle_s: float | None = None,
) -> T:
    """What `read` returns as soon as it is as it should be: true, or so that `until` says so.
    `idle_s` is for what takes longer than all else.

    An AssertionError counts as "not yet". What was seen last is part of the error when patience
    ends, and of any other that ends the wait, such as that of pytest-timeout.
    """
    wait = Wait(idle_s)
    seen: object = "nothing yet"
    try:
        while True:
            try:
                seen = answer = read()
                if until(answer):
                    return answer
            except AssertionError as error:
                seen = error
            if wait.is_in_vain:
                break
            time.sleep(every_s)
    except BaseException as error:
        error.add_note(f"while waiting for {what}; seen last: {seen!r}")
        raise
    raise AssertionError(f"waited {wait.seconds:.0f} s for {what}; seen last: {seen!r}")


class Process(Protocol):
    """What was started by `subprocess` or by the nursery."""

    def poll(self) -> int | None: ...


def wait_for_end(process: Process, *, what: str = "the process to end") -> int:
    """Its exit status."""
    status = wait_for(process.poll, until=lambda status: status is not None, what=what)
    assert status is not None
    return status


def answer_of(call: Callable[[], T], *, what: str = "the call to end") -> T:
    """What a call returns that might wait for ever, and must end by a limit of its own."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001  # raised below, where the test sees it
            errors.append(error)

    thread = threading.Thread(target=run, name="a call that must end", daemon=True)
    thread.start()
    wait_for(thread.is_alive, until=lambda lives: not lives, what=what)
    if errors:
        raise errors[0]
    return answers[0]
