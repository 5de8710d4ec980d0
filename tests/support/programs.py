"""Our real processes, started as the Procfile says, killed and stopped as tests need it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from local.embedded import process
from local.supervisor import command_of, parse_procfile
from tests.support import children
from tests.support.waiting import patience_s, wait_for, wait_for_end

ROOT = Path(__file__).parents[2]
# A line that says a process does its work now.
READY = {
    "worker": re.compile(r"\bready\b"),
    "webhooks": re.compile(r"\bready\b"),
    "web": re.compile(r"\blistening\b"),
    "beat": re.compile(r"beat: Starting|sweeper|Scheduler", re.IGNORECASE),
    "flower": re.compile(r"Connected to"),
}


class Program:
    """One process, with everything it said."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        descriptor, path = tempfile.mkstemp(prefix=f"billing-test-{name}-", suffix=".log")
        self.log_path = Path(path)
        try:
            self.child = process.spawn(
                command,
                death_signal=signal.SIGKILL,
                environ=environ,
                folder=ROOT,
                output=descriptor,
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def alive(self) -> bool:
        return self.child.poll() is None

    @property
    def output(self) -> str:
        """All it wrote so far, on stdout and stderr."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_until(self, pattern: str | re.Pattern[str]) -> None:
        """Until it has said something that matches; fails at once when it ends instead."""
        compiled = re.compile(pattern) if isinstance(pattern, str) else pattern

        def said() -> bool:
            if compiled.search(self.output):
                return True
            if not self.alive:
                raise RuntimeError(
                    f"{self.name} ended with {self.child.returncode}:\n{self.output[-4000:]}"
                )
            return False

        wait_for(said, what=f"{self.name} to say {compiled.pattern!r}")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        wait_for_end(self.child, what=f"{self.name} to be gone")

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.signal(signal.SIGTERM)
        return self.end_of_itself()

    def end_of_itself(self) -> int:
        """Wait until it ends; its exit status."""
        try:
            return wait_for_end(self.child, what=f"{self.name} to end")
        except AssertionError as error:
            error.add_note(self.output[-4000:])
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send it any signal, such as SIGSTOP and SIGCONT."""
        if self.alive:
            self.child.send_signal(number)

    def end(self) -> None:
        """Leave nothing: the process, its children and its log go."""
        if self.alive:
            try:
                family = psutil.Process(self.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                family = []
            self.child.kill()
            wait_for_end(self.child, what=f"{self.name} to be gone")
            for child in family:
                with suppress(psutil.NoSuchProcess):  # most end with their parent
                    child.kill()
        self.log_path.unlink(missing_ok=True)


class Programs:
    """Starts processes of the Procfile with one environment, and ends those that are left."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)
        self.started: list[Program] = []
        self._procfile = parse_procfile((ROOT / "Procfile").read_text())

    def launch(self, name: str, *, command: list[str] | None = None, **environ: str) -> Program:
        """Start one, by its Procfile name (or with a command), and don't wait."""
        line = command or command_of(self._procfile[name])
        program = Program(name, line, {**self.environ, **environ})
        self.started.append(program)
        return program

    def start(self, name: str, **environ: str) -> Program:
        """Start one and wait until it works. More environment variables as arguments."""
        program = self.launch(name, **environ)
        program.wait_until(READY[name])
        return program

    def start_all(self, *names: str, **environ: str) -> dict[str, Program]:
        """Start several at once (all of worker, webhooks, beat unless named), and wait for all."""
        names = names or ("worker", "webhooks", "beat")
        programs = {name: self.launch(name, **environ) for name in names}
        for name, program in programs.items():
            program.wait_until(READY[name])
        return programs

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the `billing` command to its end."""
        return children.run(
            [sys.executable, "-m", "cli", *arguments],
            env=self.environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )

    def end(self) -> None:
        for program in reversed(self.started):
            program.end()
        self.started.clear()
