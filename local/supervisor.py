"""Keeps the processes of a Procfile running, tells what they say, and ends them all."""

import os
import selectors
import shlex
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from honcho import environ as honcho

from local.embedded import process

TICK_S = 0.1
# A process that lived this long was healthy: what ended it (kill -9, a watchdog) is over, so its
# successor starts at once. Recovery within 30 s leaves no time for a polite pause.
HEALTHY_S = 10.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
KILL_S = 5.0
CHUNK_BYTES = 65_536
LINE_BYTES_MAX = 1_000_000  # a longer line is passed on in pieces rather than kept in memory

# Called with the name of a process and one line.
Say = Callable[[str, str], None]


class Lines:
    """What a process says, cut into lines, without ever waiting for it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self.ended = False
        self._partial = b""

    def read(self) -> list[str]:
        """The lines that are complete by now; sets `ended` when there will be no more."""
        said = b""
        while not self.ended and len(said) < LINE_BYTES_MAX:
            try:
                chunk = os.read(self.pipe.fileno(), CHUNK_BYTES)
            except BlockingIOError:
                break
            self.ended = not chunk
            said += chunk
        *lines, self._partial = (self._partial + said).split(b"\n")
        if self.ended or len(self._partial) > LINE_BYTES_MAX:
            lines += [self._partial] if self._partial else []
            self._partial = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]


@dataclass
class Child:
    """One process of the Procfile, in its present incarnation."""

    name: str
    command: Sequence[str]
    running: subprocess.Popen[bytes] | None = None
    lines: Lines | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0


class Supervisor:
    """Runs commands until told to stop. Everything happens in the thread that calls `run`.

    On Linux, children are killed by the kernel when this process dies.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environ: Mapping[str, str],
        environ_of: Mapping[str, Mapping[str, str]] | None = None,
        folder: Path,
        echo: Say,
        report: Say,
        stop_s: float,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """`environ` is told to all, `environ_of` to those that it names, besides.

        `echo` is given what processes say, `report` what becomes of them.

        `stop_s`: how long they may take to end by themselves when all is stopped.
        `tick` is called some ten times a second, for whatever else must be kept running.
        """
        self.children = [Child(name, command) for name, command in commands.items()]
        self._environ = environ
        self._environ_of = environ_of or {}
        self._folder = folder
        self._echo = echo
        self._report = report
        self._stop_s = stop_s
        self._tick = tick
        self._stopping = False
        self._hurry = False
        self._selector = selectors.DefaultSelector()

    def stop(self) -> None:
        """End everything; a second call doesn't wait for it. Safe in a signal handler."""
        self._hurry = self._stopping
        self._stopping = True

    def run(self) -> None:
        """Start all, restart what ends, until `stop`; then return with nothing left running."""
        try:
            while not self._stopping:
                self._start_due()
                self._listen()
                self._bury()
                self._tick()
        finally:
            self._stopping = True
            self._end_all()
            self._selector.close()

    def _start_due(self) -> None:
        for child in self.children:
            if child.running is None and time.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.running = process.spawn(
            child.command,
            death_signal=signal.SIGKILL,
            environ={**self._environ, **self._environ_of.get(child.name, {})},
            folder=self._folder,
            output=subprocess.PIPE,
        )
        assert child.running.stdout is not None
        child.lines = Lines(child.running.stdout)
        self._selector.register(child.running.stdout, selectors.EVENT_READ, child)
        self._report(child.name, f"started (pid {child.running.pid})")

    def _listen(self) -> None:
        """Pass on what is said, waiting for it up to a tick."""
        for key, _ in self._selector.select(TICK_S):
            self._tell(key.data)

    def _tell(self, child: Child) -> None:
        if child.lines is None:
            return
        for line in child.lines.read():
            self._echo(child.name, line)
        if child.lines.ended:
            self._close(child)

    def _close(self, child: Child) -> None:
        if child.lines is not None:
            self._selector.unregister(child.lines.pipe)
            child.lines.pipe.close()
            child.lines = None

    def _bury(self) -> None:
        """Take leave of those that have ended, and decide when they start again."""
        for child in self.children:
            if child.running is None or not _has_ended(child.running):
                continue
            # Before wait(): until then the kernel gives its number, which is its group's too, to
            # nobody else.
            _kill_group(child.running.pid)
            status = child.running.wait()
            child.running = None
            self._tell(child)
            self._close(child)
            words = f"ended ({_in_words(status)})"
            if not self._stopping:
                words += _when(self._pause_s(child))
            self._report(child.name, words)

    def _pause_s(self, child: Child) -> float:
        now = time.monotonic()
        child.failures = 0 if now - child.started_at >= HEALTHY_S else child.failures + 1
        pause_s = 0.0
        if child.failures:
            pause_s = min(BACKOFF_FIRST_S * 2.0 ** (child.failures - 1), BACKOFF_MAX_S)
        child.start_at = now + pause_s
        return pause_s

    def _end_all(self) -> None:
        family = _descendants(self._alive())
        for running in self._alive():
            # Not `send_signal`, which buries one that has just ended: that is for `_bury`.
            os.kill(running.pid, signal.SIGTERM)
        self._wait_for_the_end(self._stop_s)
        family += _descendants(self._alive())
        for child in self.children:
            if child.running is not None:
                self._report(child.name, "does not end by itself, killing it")
                _kill_group(child.running.pid)
        self._hurry = False
        self._wait_for_the_end(KILL_S)
        for orphan in family:  # those that had left their group
            if orphan.is_running():
                orphan.kill()

    def _wait_for_the_end(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self._alive() and time.monotonic() < deadline and not self._hurry:
            self._listen()
            self._bury()

    def _alive(self) -> list[subprocess.Popen[bytes]]:
        return [child.running for child in self.children if child.running is not None]


def parse_procfile(text: str) -> dict[str, str]:
    """Name → command line, in the order of the file."""
    return dict(honcho.parse_procfile(text).processes)


def command_of(line: str) -> list[str]:
    """The words of a command line; a program of our own environment is taken from there.

    No shell in between: it would receive the signals that are meant for the program.
    """
    program, *arguments = shlex.split(line)
    ours = Path(sysconfig.get_path("scripts")) / program
    return [str(ours) if ours.exists() else _on_path(program), *arguments]


def _on_path(program: str) -> str:
    found = next((p for d in os.get_exec_path() if (p := Path(d) / program).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"the Procfile names {program!r}, which is not installed")
    return str(found)


def _has_ended(running: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended, without burying it."""
    ended = os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is not None


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        pass


def _descendants(running: Iterable[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for popen in running:
        try:
            found += psutil.Process(popen.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    return found


def _in_words(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _when(pause_s: float) -> str:
    return f", starting again in {pause_s:g} s" if pause_s else ", starting again"
