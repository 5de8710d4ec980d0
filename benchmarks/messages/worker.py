"""Our side: one worker, and messages that are all in its queue before it may take the first."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil

from benchmarks import meter
from benchmarks.ours import Ours, OursRabbit
from benchmarks.place import Place
from benchmarks.run import SILENCE_MAX_S, new_keys

APP = "benchmarks.messages.instant_app"
WARM_UP = 2_000
POLL_S = 0.02
# Events wait for a tenth of a second, acknowledgements for a turn of the loop.
REST_S = 0.5
_numbers = count(1)


@dataclass(frozen=True)
class Cost:
    """What a run showed: charges per second; per charge, ms of CPU and what was written."""

    per_s: float
    worker_ms: float
    # Of the worker's: its main thread, where Celery and kombu run.
    main_ms: float
    postgres_ms: float
    transactions: float
    wal_kb: float


class OneWorker(Ours):
    """The worker of the Procfile, with the instant processor; nobody delivers webhooks."""

    processor = "sandbox"  # by its name: see `instant_app`

    def __init__(self, place: Place, *, dispatch: str) -> None:
        self.name = f"{dispatch}-{next(_numbers)}"
        super().__init__(place)
        self._dispatch = dispatch
        self._sent = 0

    def commands(self) -> Mapping[str, Sequence[str]]:  # type: ignore[override]  # it only reads
        celery, flag, _, *rest = self.all_commands()["worker"]
        return {"worker": [celery, flag, APP, *rest]}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {**super().environment(latency_ms=latency_ms), "BILLING_DISPATCH": self._dispatch}

    def unfinished(self) -> int:
        return self._sent - self.count("select count(*) from charges where state = 'succeeded'")

    def carry(self, charges: int, *, profile: Path | None = None) -> Cost:
        """Stops the process, fills its queue, and lets it go."""
        pid = self.processes.roots["worker"]
        roots = self.processes.roots | self.place.roots
        self.place.postgres.execute("checkpoint")
        os.kill(pid, signal.SIGSTOP)
        self._send(charges)
        before, main_s = meter.read(roots, self.place.postgres), _main_thread_s(pid)
        started_s = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        with _profiled(pid, profile):
            self._wait()
        seconds = time.monotonic() - started_s
        time.sleep(REST_S)
        spent = meter.read(roots, self.place.postgres).since(before)
        main_s = _main_thread_s(pid) - main_s
        in_ms = (1000 * cpu_s / charges for cpu_s in (spent.cpu_s["worker"], main_s))
        return Cost(
            charges / seconds,
            *in_ms,
            1000 * spent.cpu_s["postgres"] / charges,
            spent.transactions / charges,
            spent.wal_bytes / 1024 / charges,
        )

    def warm_up(self) -> None:
        self._send(WARM_UP)
        self._wait()

    def _send(self, charges: int) -> None:
        self._sent += charges
        publisher = self.publisher()
        publisher.burst(new_keys(charges))
        publisher.close()

    def _wait(self) -> None:
        started_s = time.monotonic()
        while self.unfinished():
            self.processes.check_alive()
            if time.monotonic() - started_s > 2 * SILENCE_MAX_S:
                raise TimeoutError(f"{self.unfinished()} left\n{self.processes.log_tails()}")
            time.sleep(POLL_S)


class OneWorkerOfRabbit(OneWorker, OursRabbit):
    """The same through a quorum queue of RabbitMQ."""


@contextmanager
def running(place: Place, *, dispatch: str, rabbitmq: bool) -> Iterator[OneWorker]:
    """Installed, started, warm; stopped in the end."""
    worker = (OneWorkerOfRabbit if rabbitmq else OneWorker)(place, dispatch=dispatch)
    worker.install()
    worker.start(latency_ms=0)
    try:
        worker.warm_up()
        yield worker
    finally:
        worker.processes.stop()


def _main_thread_s(pid: int) -> float:
    """CPU seconds of the thread in which a process began."""
    times = {thread.id: thread for thread in psutil.Process(pid).threads()}
    return float(times[pid].user_time + times[pid].system_time)


@contextmanager
def _profiled(pid: int, profile: Path | None) -> Iterator[None]:
    if profile is None:
        yield
        return
    command = ["py-spy", "record", "--gil", "-f", "raw", "-r", "100", "-o", str(profile)]
    recording = subprocess.Popen([*command, "-p", str(pid)])
    try:
        yield
    finally:
        recording.send_signal(signal.SIGINT)
        recording.wait()
