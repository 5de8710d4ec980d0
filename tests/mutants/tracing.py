"""Which lines of `payments` one test runs, in its own process and in those that it starts.

Those are forks of it, so they trace, too; each writes what it ran into a file beside the test's.
"""

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage

from tests.mutants.forked_nursery import before_each
from tests.support.nursery import ForkedProgram
from tests.support.waiting import wait_for


@dataclass
class Traced:
    """What the test itself says: whether it passed, and the seconds that went into fixtures which
    several tests share."""

    passed: bool = False
    shared_s: float = 0.0


def prepare() -> None:
    """In the process that will be forked: import what the first trace does."""
    measured = coverage.Coverage(data_file=None, include=["nothing"], config_file=False)
    measured.start()
    measured.stop()


@contextmanager
def tracing(root: Path, file: Path) -> Iterator[Traced]:
    """Trace until the end of the `with`, then write the file. Started in a fork for one test."""
    measured = coverage.Coverage(
        data_file=None, include=[str(root / "payments" / "*")], config_file=False
    )
    # Many a test runs nothing of it.
    measured.set_option("run:disable_warnings", ["no-data-collected"])
    before_each.append(lambda: _tell_when_asked(measured, root, file))
    _ask_before_the_end(file)
    traced = Traced()
    began = time.monotonic()
    measured.start()
    yield traced
    measured.stop()
    seconds = round(time.monotonic() - began, 3)
    lines: dict[str, set[int]] = defaultdict(set)
    for path, numbers in _lines(measured, root).items():
        lines[path] |= set(numbers)
    for told in file.parent.glob(f"{file.name}.*.program"):
        for path, numbers in json.loads(told.read_text()).items():
            lines[path] |= set(numbers)
        told.unlink()
    told_of_test = {
        "passed": traced.passed,
        "seconds": round(seconds - traced.shared_s, 3),
        "shared_s": round(traced.shared_s, 3),
        # Of its own process and of those whose end it saw; the rest of the time it waited.
        "cpu_s": round(sum(os.times()[:4]), 3),
        "lines": {path: sorted(numbers) for path, numbers in lines.items()},
    }
    file.write_text(json.dumps(told_of_test))


def _lines(measured: Any, root: Path) -> dict[str, list[int]]:
    data = measured.get_data()
    return {
        str(Path(path).relative_to(root)): sorted(data.lines(path) or ())
        for path in data.measured_files()
        if data.lines(path)
    }


def _program_file(file: Path, pid: int) -> Path:
    return file.with_name(f"{file.name}.{pid}.program")


def _tell_when_asked(measured: Any, root: Path, file: Path) -> None:
    """In a program: write what it has run so far at its end, and when it is asked to."""
    end = os._exit

    def tell(*_: object) -> None:
        told = _program_file(file, os.getpid())
        part = told.with_suffix(".part")
        part.write_text(json.dumps(_lines(measured, root)))
        part.rename(told)

    def tell_and_end(status: int) -> None:
        tell()
        end(status)

    os._exit = tell_and_end  # type: ignore[assignment]
    signal.signal(signal.SIGUSR2, tell)


def _ask_before_the_end(file: Path) -> None:
    """In the test: a program that is about to be killed tells first."""
    kill = ForkedProgram.end

    def ask_and_end(program: ForkedProgram) -> None:
        if program.alive:
            program.signal(signal.SIGUSR2)
            told = _program_file(file, program.pid)
            try:
                wait_for(
                    lambda: told.exists() or not program.alive,
                    what="a program to tell what it ran",
                )
            except AssertionError:
                pass  # its lines are unknown then: less is selected, nothing is wrong
        kill(program)

    ForkedProgram.end = ask_and_end  # type: ignore[method-assign]
