"""A contender: the processes of one way to do the work, and how to see that it is done."""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.place import Place
from worker.embedded import process as children


class Contender(ABC):
    """Installed once, then started and stopped for every run, always through real processes."""

    name: str
    task: str
    queue: str
    secret: str
    """Of the webhook endpoint, `whsec_…`; known once installed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.database_url = place.create_database(self.name)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    @abstractmethod
    def broker_url(self) -> str: ...

    @abstractmethod
    def install(self) -> None:
        """Makes the tables and the webhook endpoint."""

    @abstractmethod
    def commands(self) -> dict[str, Sequence[str]]:
        """The processes to run, by role."""

    @abstractmethod
    def environment(self, *, latency_ms: int) -> dict[str, str]: ...

    @abstractmethod
    def unfinished(self) -> int:
        """How many charges or deliveries are not recorded as done."""

    @property
    def roots(self) -> dict[str, int]:
        return {role: process.pid for role, process in self._processes.items()}

    def start(self, *, latency_ms: int) -> None:
        environment = os.environ | self.environment(latency_ms=latency_ms)
        for role, command in self.commands().items():
            with self._log(role).open("ab") as log:
                self._processes[role] = children.spawn(
                    command, death_signal=signal.SIGTERM, environ=environment, output=log
                )

    def check_alive(self) -> None:
        """Raises RuntimeError, with the end of its log, if a process has ended."""
        for role, process in self._processes.items():
            if process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} {role} ended with {process.returncode}\n{self.log_tails()}"
                )

    def log_tails(self, *, lines: int = 30) -> str:
        """The last lines of every process, for an error that a person reads."""
        return "\n".join(
            f"--- {role}\n" + "\n".join(self._log(role).read_text().splitlines()[-lines:])
            for role in self._processes
        )

    def stop(self) -> None:
        """Asks all to end, and ends those that don't within ten seconds."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    def _log(self, role: str) -> Path:
        return self.place.folder / f"{self.name}-{role}.log"
