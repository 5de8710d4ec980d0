"""CSV that a spreadsheet opens without running anything of it."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), in full width, too:
# some of what is told was written by strangers.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def write(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A header and a line per row, on stdout, as they come; what is None is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])


def _cell(value: Any) -> Any:
    """Numbers as they are; a text that would be a formula begins with an apostrophe."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
