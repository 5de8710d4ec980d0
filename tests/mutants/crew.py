"""The workers of `make mutants`: whoever is free gets the next wish."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support import children

Asked = dict[str, Any]
Answered = dict[str, Any]


class Worker:
    """One of them, a process with servers of its own."""

    def __init__(self, root: Path, log: Path, suites: Sequence[str]) -> None:
        self.process = children.start(
            [sys.executable, "-m", "tests.mutants.worker", str(log), *suites],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._log = log

    def ask(self, what: Asked) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Answered:
        """Waits for it."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker of the mutants ended early: {self._log}")
        told: Answered = json.loads(line)
        return told

    def end(self) -> None:
        """It ends with its input, and takes its servers with it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Crew:
    """All of them. Use as `with crew(…) as …`."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        # The tests that they have collected.
        self.tests: list[str] = []
        for worker in workers:
            self.tests = worker.answer()["tests"]

    def each(self, wishes: Iterable[Asked]) -> Iterator[tuple[Asked, Answered]]:
        """Wishes with their answers, as they come. The next wish is taken when somebody is free."""
        waiting = iter(wishes)
        asked: dict[Worker, Asked] = {}
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
                _ask_next(worker, waiting, asked)
            while asked:
                for key, _ in selector.select():
                    worker = key.data
                    answer = worker.answer()
                    wish = asked.pop(worker)
                    yield wish, answer
                    _ask_next(worker, waiting, asked)


def _ask_next(worker: Worker, waiting: Iterator[Asked], asked: dict[Worker, Asked]) -> None:
    wish = next(waiting, None)
    if wish is not None:
        asked[worker] = wish
        worker.ask({name: value for name, value in wish.items() if not name.startswith("_")})


@contextmanager
def crew(root: Path, folder: Path, suites: Sequence[str], *, jobs: int) -> Iterator[Crew]:
    """So many workers, with these suites collected; their logs go to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        workers = []
        for i in range(jobs):
            workers.append(Worker(root, folder / f"worker-{os.getpid()}-{i}.log", suites))
            stack.callback(workers[-1].end)
        yield Crew(workers)
