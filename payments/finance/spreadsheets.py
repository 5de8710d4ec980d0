"""CSV that a spreadsheet opens without executing anything in it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

# What makes a spreadsheet treat a cell as a formula (OWASP, "CSV Injection"), in full width, too:
# outsiders wrote some of the texts. Also after a semicolon or a tab, which separate cells in the
# spreadsheets of half of Europe.
_FORMULA = re.compile("^(?=[\t\r\n])|(^|[;\t\r\n])(?=[=+\\-@＝＋－＠])")


def lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """A header and a line per row, in their order; None is empty."""
    yield line(columns)
    for row in rows:
        yield line([cell(row.get(name)) for name in columns])


def line(cells: Sequence[Any]) -> str:
    """One line, with its end."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def cell(value: Any) -> Any:
    """Numbers unchanged; an apostrophe before a text that would be a formula."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
