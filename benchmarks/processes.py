"""The processes of a contender: started, watched and ended, always real ones."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.embedded import process as children


class Processes:
    """They run from `start` to `stop`; each has its log in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def roots(self) -> dict[str, int]:
        """Their process ids by role, for the meter."""
        return {role: process.pid for role, process in self._processes.items()}

    def start(self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> None:
        for role, command in commands.items():
            with self._log(role).open("ab") as log:
                self._processes[role] = children.spawn(
                    command,
                    death_signal=signal.SIGTERM,
                    environ=os.environ | environment,
                    output=log,
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
        return self._folder / f"{self.name}-{role}.log"
