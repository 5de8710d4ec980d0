"""Who kills the process of the tests, or a thread of ours, leaves nothing behind but what lives."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.embedded import process
from tests.support.living import lives, named, none_lives
from tests.support.nursery import nursery
from tests.support.waiting import patience_s, wait_for

ROOT = Path(__file__).parents[2]
# Says that it is there, and once more for each SIGUSR1.
ECHO = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print("here", flush=True))
print("here", flush=True)
while True:
    signal.pause()
"""
# All that tests start processes by. Some of it is started by threads that have ended.
TESTS = """
import os, sys, threading
from contextlib import ExitStack
from pathlib import Path
from local.embedded import throwaway
from tests.support.nursery import nursery
from tests.support.pgbouncer import pgbouncer
from tests.support.programs import Program
from tests.support.sentinel import Sentinels
from tests.support.workers import RedisBroker, Worker
from tests.storm.servers import RedisServer

folder = Path(sys.argv[1])
stack = ExitStack()

def start():
    servers = stack.enter_context(throwaway.servers(durable=False))
    if sys.argv[2]:
        stack.enter_context(pgbouncer(servers.postgres.url))
    (folder / "broker").mkdir()
    broker = RedisBroker(folder / "broker")
    Worker(broker.url, folder).ready()
    RedisServer(folder / "storm")
    Sentinels(folder)
    Program("sleep", [sys.executable, "-c", "import time; time.sleep(600)"], os.environ)
    mother = stack.enter_context(nursery())
    mother.run("server", "http.server", ["0", "--bind", "127.0.0.1"], os.environ).wait_until("HTTP")

thread = threading.Thread(target=start)
thread.start()
thread.join()
print("started", flush=True)
threading.Event().wait()
"""


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []
    tasks: list[Path] = []

    def ask() -> None:
        tasks.append(Path(f"/proc/self/task/{threading.get_native_id()}"))
        command = [sys.executable, "-c", ECHO]
        started.append(process.spawn(command, death_signal=signal.SIGKILL, output=subprocess.PIPE))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    wait_for(lambda: not tasks[0].exists(), what="the thread to be gone")
    with started[0] as child:
        assert child.stdout
        # What was killed with the thread may have said the first, and answers nothing.
        assert child.stdout.readline() == b"here\n"
        child.send_signal(signal.SIGUSR1)
        assert child.stdout.readline() == b"here\n"
        child.kill()


def test_a_fork_starts_children_of_its_own(tmp_path: Path) -> None:
    process.start([sys.executable, "-c", ""]).wait(
        patience_s()
    )  # now there is a thread that starts them
    note = tmp_path / "status"
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            note.write_text(str(process.start([sys.executable, "-c", ""]).wait(patience_s())))
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert note.read_text() == "0"


def left_of(family: dict[psutil.Process, str]) -> list[str]:
    """Wait for the end of processes; what those run that live on, and are ended now."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: none_lives(family), what="all to end")
    left = [one for one in family if lives(one)]
    for one in left:
        one.kill()
    return [family[one] for one in left]


@pytest.fixture
def folder() -> Iterator[Path]:
    """For what those who are killed can't remove; open to the users that servers run as."""
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_all_that_tests_started_ends_when_they_are_killed(folder: Path, tmp_path: Path) -> None:
    bouncer = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or ""
    with (
        (tmp_path / "errors").open("wb") as errors,
        process.start(
            [sys.executable, "-c", TESTS, str(folder), bouncer],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            start_new_session=True,
        ) as tests,
    ):
        line = tests.stdout.readline()
        assert line, (tmp_path / "errors").read_text()
        family = named(psutil.Process(tests.pid).children(recursive=True))
        # Not only ours: PostgreSQL has processes of its own.
        assert len(family) > 12
        tests.kill()
        tests.wait(patience_s())
        assert left_of(family) == []


def test_processes_of_the_nursery_end_with_it() -> None:
    with nursery() as mothers:
        started = mothers.run("server", "http.server", ["0", "--bind", "127.0.0.1"], os.environ)
        started.wait_until("HTTP")
        child = psutil.Process(started.pid)
        mother = child.parent()
        assert mother
        assert mother.pid != os.getpid()
        family = named([child])
        mother.kill()
        assert left_of(family) == []
        started.log_path.unlink()
