"""Programs that tests start: they end with the process of the tests, however that ends."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from local.embedded import process
from local.embedded.launch import Refused, die_with


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """subprocess.Popen."""
    return process.start(_tied(command), **options)


def run(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]":
    """subprocess.run. What a shell has started by itself may end later than the shell."""
    return subprocess.run(_tied(command), **options)  # noqa: PLW1510  # the caller says `check`


def fork() -> int:
    """os.fork; call it from a thread that lives as long as its process."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with(parent, signal.SIGKILL)
        except Refused:  # it has ended already
            os._exit(1)
    return pid


def _tied(command: Sequence[str]) -> list[str]:
    program, *arguments = command
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(program)
    return process.tied([found, *arguments], death_signal=signal.SIGKILL)
