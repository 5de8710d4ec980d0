"""A line of a file: its request, or why it can't be read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

# A request of the longest fields has a quarter of it; a file without line ends must not fill the
# memory.
LINE_BYTES_MAX = 1_000_000

# What a file of refused lines says about them, under names that no field will ever have. In a
# file that is imported they mean nothing, so that it can be mended and imported again.
REFUSED_LINE, REFUSED_BECAUSE, REFUSED_TEXT = "refused.line", "refused.because", "refused.text"


class FileRefused(Exception):
    """The file can't be imported at all; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One request as it stands in the file. `number` is that of its first line there, from 1."""

    number: int
    # As it was read: cells of CSV, the text of JSON. For the file of refused lines.
    source: Any
    fields: dict[str, Any] = field(default_factory=dict)
    # Why it can't be read; None for one that can.
    trouble: str | None = None


def physical_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file with their ends. Of one that is too long, the first LINE_BYTES_MAX + 1
    bytes come, and what is left of it is passed over."""
    while line := file.readline(LINE_BYTES_MAX + 1):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES_MAX)


def is_too_long(line: bytes) -> bool:
    return len(line) > LINE_BYTES_MAX
