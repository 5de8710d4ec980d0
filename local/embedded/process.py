"""A child process that can't outlive us, and the end of a process that may not want to end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Identity:
    """Who a process shall be: a user, the capabilities kept, or a user namespace instead."""

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

    Call it from a thread that lives as long as the child shall: the kernel watches the thread.
    The child has a session of its own, so Ctrl-C reaches us and we decide the order of ending.
    With `reach` it ends at once, with status launch.REFUSED, when it can't write in that folder.
    """
    wish: dict[str, object] = {"parent": os.getpid(), "death_signal": int(death_signal)}
    if identity:
        wish["uid"], wish["gid"] = identity.uid, identity.gid
        wish["capabilities"] = identity.capabilities
        wish["user_namespace"] = identity.user_namespace
    if reach:
        wish["reach"] = str(reach)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(wish), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=dict(environ) if environ is not None else None,
        cwd=folder,
        start_new_session=True,
    )


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
