"""What our embedded servers have in common: a folder, a port, a password, a start and a stop."""

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from local.embedded import process
from service import data_dir

HOST = "127.0.0.1"
PORT_TRIES = 5  # someone may take a free port between our look and the server's
LOG_BYTES_MAX = 20_000_000  # a log larger than this is set aside at the next start


class EmbeddedError(Exception):
    """An embedded server didn't start; the text contains the end of its log and what to do."""


class Server(ABC):
    """A server that lives in a folder and ends with us. Start and stop it from one thread at a
    time."""

    name: ClassVar[str]
    # Gentle first. The seconds add up to what `stop` may take at most.
    endings: ClassVar[Sequence[tuple[signal.Signals, float]]]
    abrupt: ClassVar[signal.Signals]  # as by a power cut, without last words

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._child: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self, *, deadline_s: float = 30.0) -> str:
        """Start, wait until it answers, and return its URL. Raises EmbeddedError.

        A server left over from a parent that was killed is recognised and stopped first.
        """
        if self.alive:
            return self.url
        data_dir.create(self.folder)
        self._prepare()
        if leftover := self._leftover():
            process.end(leftover, self.endings)
        # These have limits of their own, which are longer.
        deadline = time.monotonic() + deadline_s
        for _ in range(PORT_TRIES):
            self._port = self._free_port()
            self._child = self._spawn()
            if self._wait_until_ready(deadline):
                data_dir.write_private(self.folder / "port", f"{self._port}\n")
                return self.url
            if not _is_taken(self._port):
                break
            (self.folder / "port").unlink(missing_ok=True)
        self.stop()
        raise EmbeddedError(f"{self.name} did not start in {self.folder}:\n{self.log_tail()}")

    def stop(self) -> None:
        """Stop cleanly, by force when that takes too long; nothing happens when not running."""
        self._end(self.endings)

    def crash(self) -> None:
        """End as by a power cut; what was acknowledged must be there after the next `start`."""
        self._end([(self.abrupt, 10.0), (signal.SIGKILL, 5.0)])

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id. Raises EmbeddedError when it isn't running."""
        if self._child is None or not self.alive:
            raise EmbeddedError(f"{self.name} is not running")
        return self._child.pid

    @property
    def port(self) -> int:
        """The port it listens on, the same one at every start while that port is free."""
        return self._port

    @property
    def password(self) -> str:
        return data_dir.secret(self.folder / "password")

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, password included."""

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def log_tail(self, lines: int = 15) -> str:
        """The last lines it logged, for an error that a person reads."""
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(it logged nothing)"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self) -> None:
        """Make the folder ready for the server."""

    @abstractmethod
    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the program on `self._port`."""

    @abstractmethod
    def _leftover(self) -> psutil.Process | None:
        """The server of an earlier parent, if it surely is one, still at work in this folder."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves requests now."""

    def _end(self, endings: Sequence[tuple[signal.Signals, float]]) -> None:
        if self._child is None:
            return
        for step, patience_s in endings:
            self._child.send_signal(step)
            try:
                self._child.wait(patience_s)
                break
            except subprocess.TimeoutExpired:
                continue
        self._child = None

    def _wait_until_ready(self, deadline: float) -> bool:
        while self.alive and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.02)
        return False

    def _free_port(self) -> int:
        try:
            kept = int((self.folder / "port").read_text())
            if not _is_taken(kept):
                return kept
        except (FileNotFoundError, ValueError):
            pass
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    def _open_log(self) -> int:
        """A descriptor to append to the log, which is the server's own and closed to others."""
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_MAX:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self.log_path, flags, 0o600)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port whose last connections are just fading counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
