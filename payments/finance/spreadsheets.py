"""CSV that a spreadsheet opens without running anything of it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), in full width, too:
# some of what is told was written by strangers. Also behind what ends a cell where a spreadsheet
# takes semicolons or tabs for commas, as it does in half of Europe.
_FORMULA = re.compile("^(?=[\t\r\n])|(^|[;\t\r\n])(?=[=+\\-@＝＋－＠])")


def lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """A header and a line per row, as they come; what is None is empty."""
    yield line(columns)
    for row in rows:
        yield line([cell(row.get(name)) for name in columns])


def line(cells: Sequence[Any]) -> str:
    """One line, with its end."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def cell(value: Any) -> Any:
    """Numbers as they are; before what would be a formula stands an apostrophe."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
