"""The command line in a terminal of some width, and what a person sees there."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support import children
from tests.support.programs import ROOT

_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Screen:
    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """As the command ended them: the terminal breaks those that are wider than it is."""
        return self.text.splitlines()


def seen(environ: Mapping[str, str], columns: int, *arguments: str) -> Screen:
    """Run `billing` in a pseudo terminal of so many columns, to its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {n: text for n, text in environ.items() if n not in ("COLUMNS", "LINES")}
    with children.start(
        [sys.executable, "-m", "cli", *arguments],
        env={**inherited, "TERM": "xterm-256color"},
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    text = _STYLE.sub("", said.decode().replace("\r\n", "\n"))
    return Screen(running.returncode, text)


def _read(terminal: int) -> bytes:
    """The next that was written, and nothing once nobody writes any more."""
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says EIO
        return b""
