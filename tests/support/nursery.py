"""Our real processes, started fast: forked from one that has everything imported.

Importing Celery, SQLAlchemy and the rest takes two seconds of CPU, and these suites start a hundred
processes. What runs in the fork is what `celery -A worker …` runs, from the first line of its
`main`; settings are read there, from the environment that the test gives.

This file is also the program that forks: `python -m tests.support.nursery`.
"""

import importlib
import json
import os
import random
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import children
from tests.support.programs import ROOT, Program
from tests.support.waiting import patience_s

# Packages that tests bring: what a process has of them is on its path when it is born.
PLUGINS = ROOT / "tests/support/plugins"


class Child:
    """A process of the nursery, to be handled like a subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedProgram(Program):
    """One process, with everything it said."""

    def __init__(self, name: str, command: list[str], log_path: Path, child: Child) -> None:
        self.name = name
        self.command = command
        self.log_path = log_path
        self.child: Any = child


class Nursery:
    """Where processes come from. Start with `with nursery() as …`."""

    def __init__(self, mother: "subprocess.Popen[str]") -> None:
        self._mother = mother
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._answers: list[int] = []
        self._answered = threading.Condition()
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def run(
        self, name: str, module: str, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> Program:
        """Run `python -m module …` with nothing in its environment but `environ`."""
        descriptor, path = tempfile.mkstemp(prefix=f"billing-test-{name}-", suffix=".log")
        os.close(descriptor)
        wish = {
            "module": module,
            "arguments": list(arguments),
            "environ": dict(environ),
            "output": path,
        }
        with self._lock, self._answered:
            assert self._mother.stdin
            self._mother.stdin.write(json.dumps(wish) + "\n")
            self._mother.stdin.flush()
            assert self._answered.wait_for(lambda: self._answers, patience_s()), (
                "the nursery is silent"
            )
            pid = self._answers.pop()
        return ForkedProgram(name, [module, *arguments], Path(path), self._children[pid])

    def _listen(self) -> None:
        assert self._mother.stdout
        for line in self._mother.stdout:
            news = json.loads(line)
            if "born" in news:
                with self._answered:
                    self._children[news["born"]] = Child(news["born"])
                    self._answers.append(news["born"])
                    self._answered.notify()
            else:
                child = self._children[news["died"]]
                child.returncode = news["status"]
                child.ended.set()


@contextmanager
def nursery(checkout: Path = ROOT) -> Iterator[Nursery]:
    """A process with everything of this checkout imported. Its children end with it."""
    mother = _start(checkout)
    try:
        yield Nursery(mother)
    finally:
        assert mother.stdin
        mother.stdin.close()  # at the end of its input it kills whoever is left, and ends
        mother.wait(patience_s())


def _start(checkout: Path) -> "subprocess.Popen[str]":
    return children.start(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / PLUGINS.relative_to(ROOT))},
    )


# --- The program that forks ---

# What a worker or beat has imported when it is ready; all but worker.app, which reads the settings.
MODULES = (
    "celery.__main__",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "kombu.transport.pyamqp",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "tasks.charge_tasks",
    "tasks.refund_tasks",
    "tasks.sweep_tasks",
    "tasks.webhook_tasks",
    "worker.beat",
    "uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "worker.consumer",
    "service.broker.consumers",
    "api.http_server",
    "worker.transport.redis_transport",
    "worker.watchdog",
    "service.wiring",
)


def _become(wish: Mapping[str, Any]) -> None:
    """Go on as the module, in a fork; does not return."""
    os.setsid()
    output = os.open(wish["output"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.environ.clear()
    os.environ.update(wish["environ"])
    random.seed()
    sys.argv = [wish["module"], *wish["arguments"]]
    status = 1
    try:
        if wish["module"] == "celery":
            importlib.import_module("celery.__main__").main()
        else:
            runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            os.write(2, end.code.encode())
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its mother
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve() -> None:
    for module in MODULES:
        importlib.import_module(module)
    alive: set[int] = set()
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.02 if alive else None)
        if readable:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                break
            pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            pid = children.fork()
            if pid == 0:
                _become(json.loads(line))
            alive.add(pid)
            _say({"born": pid})
        for pid in [*alive]:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                alive.remove(pid)
                _say({"died": pid, "status": os.waitstatus_to_exitcode(status)})
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _say(news: Mapping[str, int]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    _serve()
