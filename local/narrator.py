"""The output of `billing up`: the lines of all processes in one stream, each with its name."""

import re
import sys
from collections.abc import Mapping, Sequence

from service import log
from service.log import Format

COLORS = (36, 33, 32, 35, 34, 31)  # of a terminal: cyan, yellow, green, magenta, blue, red
NAME_WIDTH = 8
# As service/log.py begins its lines; processes that write to a pipe don't colour it.
MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


class Narrator:
    """One stream on stdout: for people with names and colours, for machines as JSON lines."""

    def __init__(self, log_format: Format, level: str) -> None:
        self._as_json = log_format == "json"
        self._colors: dict[str, int] = {}
        log.configure(log_format, level, stream=sys.stdout)
        self._log = log.get("billing.up")

    def echo(self, name: str, line: str) -> None:
        """A line that a process said."""
        if self._as_json:
            self._write(line)  # it is JSON already
        else:
            self._write(f"{self._head(name)}{self._brief(log.scrub(line))}")

    def report(self, name: str, event: str) -> None:
        """What became of a process, or of everything (`billing`)."""
        if self._as_json:
            self._log.info(event, process=name)
        else:
            self._write(f"{self._head(name)}{self._paint(1, event)}")

    def welcome(self, ways: Mapping[str, Sequence[str]], facts: Mapping[str, str]) -> None:
        """How to find us (the lines to copy, by what they are for), and where everything is.

        The lines may hold a password that is meant for the person at the terminal. It is written,
        not logged, and a log of JSON lines does without it.
        """
        if self._as_json:
            self._log.info("up", **facts)
            return
        width = max(map(len, facts))
        self._write("\n  in another terminal:")
        for way, lines in ways.items():
            self._write(f"\n  {way}\n")
            for line in lines:
                self._write(f"    {self._paint(1, line)}")
        self._write("")
        for name, fact in facts.items():
            self._write(f"  {self._paint(1, name.ljust(width))}  {fact}")
        self._write("\n  Ctrl-C stops everything\n")

    def _brief(self, line: str) -> str:
        """The line; on a terminal, which has little room, with a time in place of a moment."""
        return MOMENT.sub(r"\1Z", line, count=1) if sys.stdout.isatty() else line

    def _head(self, name: str) -> str:
        color = self._colors.setdefault(name, COLORS[len(self._colors) % len(COLORS)])
        return self._paint(color, f"{name:<{NAME_WIDTH}} | ")

    def _paint(self, color: int, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if sys.stdout.isatty() else text

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except OSError:
            pass  # the reader has gone (`billing up | head`); payments go on
