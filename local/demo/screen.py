"""The progress of the demo: a line for each event, and a bar."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

# Without a terminal, a line about the progress so often.
PLAIN_EVERY_S = 5.0
BAR_WIDTH = 24


class Screen:
    """Writes to stderr: stdout belongs to the figures."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
        self._began_at = time.monotonic()
        self._told_at = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began_at

    def say(self, what: str, *, style: str = "") -> None:
        """Something happened."""
        text = escape(what)
        self._console.print(
            f"[dim]{self.seconds:5.1f} s[/]  " + (f"[{style}]{text}[/]" if style else text),
            soft_wrap=not self._console.is_terminal,
        )

    def progress(self, done: int, total: int, what: str) -> None:
        """`done` of `total` requests are final; `what` describes the others."""
        if not self._console.is_terminal:
            if self.seconds - self._told_at >= PLAIN_EVERY_S:
                self._told_at = self.seconds
                self.say(f"{done} of {total} final" + (f"; {what}" if what else ""))
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("        "),
                BarColumn(BAR_WIDTH),
                MofNCompleteColumn(),
                TextColumn("final [dim]{task.description}[/]"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, description=escape(what))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
