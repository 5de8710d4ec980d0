"""A child process that can't outlive us, and ending a process that may resist."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import psutil

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Identity:
    """The identity of a process: a user, the capabilities kept, or a user namespace instead."""

    uid: int
    gid: int
    capabilities: tuple[int, ...] = ()
    user_namespace: bool = False


def spawn(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    identity: Identity | None = None,
    reach: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    output: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command that gets `death_signal` when we end, however we end (Linux).

    The child has a session of its own, so Ctrl-C reaches us and we decide the order of ending.
    With `reach` it ends at once, with status launch.REFUSED, when it can't write in that folder.
    """
    return start(
        tied(command, death_signal=death_signal, identity=identity, reach=reach),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=dict(environ) if environ is not None else None,
        cwd=folder,
        start_new_session=True,
    )


def tied(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    identity: Identity | None = None,
    reach: Path | None = None,
) -> list[str]:
    """The command that does what `spawn` promises, and becomes `command`: for `start`."""
    wish: dict[str, object] = {"parent": os.getpid(), "death_signal": int(death_signal)}
    if identity:
        wish["uid"], wish["gid"] = identity.uid, identity.gid
        wish["capabilities"] = identity.capabilities
        wish["user_namespace"] = identity.user_namespace
    if reach:
        wish["reach"] = str(reach)
    return [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(wish), *command]


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """subprocess.Popen, called in a thread that lives as long as this process: the kernel signals
    children when the thread that started them ends, and the caller's thread may end earlier."""
    global _starter  # noqa: PLW0603  # one per process
    with _lock:
        if _starter is None:
            _starter = _Starter()
            _starter.start()
    return _starter.popen(command, options)


class _Starter(threading.Thread):
    """Starts processes, and never ends by itself."""

    def __init__(self) -> None:
        # A daemon waits here until the process is gone; Python would wait for any other.
        super().__init__(name="starter", daemon=True)
        self._wishes: SimpleQueue[tuple[Sequence[str], dict[str, Any], Future[Any]]] = SimpleQueue()

    def popen(self, command: Sequence[str], options: dict[str, Any]) -> "subprocess.Popen[Any]":
        started: Future[subprocess.Popen[Any]] = Future()
        self._wishes.put((command, options, started))
        return started.result()

    def run(self) -> None:
        while True:
            command, options, started = self._wishes.get()
            try:
                started.set_result(subprocess.Popen(command, **options))
            except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
                started.set_exception(error)


_starter: _Starter | None = None
_lock = threading.Lock()


def _forget_starter() -> None:
    """In a fork, where no other thread is."""
    global _starter, _lock  # one per process
    _starter, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_starter)


def end(process: psutil.Process, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Send each signal in turn and give it its seconds; True once the process is gone.

    psutil checks pid and start time before each signal, so a reused pid is never hit.
    """
    for step, patience_s in steps:
        try:
            process.send_signal(step)
            process.wait(patience_s)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            return True
        return True
    return not process.is_running()


def server_in(
    pid: int, *, programs: Collection[str], folder: Path, started_at: float | None = None
) -> psutil.Process | None:
    """The process with this pid, if it surely is one of these programs at work in that folder.

    Both our servers change into their data folder, which no other process of theirs does.
    `started_at` is seconds since the epoch, as the program itself noted it, within 5 s.
    """
    try:
        process = psutil.Process(pid)
        same = (
            process.status() != psutil.STATUS_ZOMBIE
            and Path(process.exe()).name in programs
            and Path(process.cwd()).samefile(folder)
            and (started_at is None or abs(process.create_time() - started_at) < 5)
        )
    except (psutil.Error, OSError, ValueError):
        return None  # gone, or of another user: not ours in either case
    return process if same else None
