"""Which columns a file may have, and which it must have."""

import difflib
import re
from collections.abc import Collection, Sequence
from typing import TypeAlias

from cli.importing.lines import REFUSED_BECAUSE, REFUSED_LINE, FileRefused

METADATA = "metadata."
# Fields that a request can't go without: all of one of these.
Ways: TypeAlias = Sequence[Sequence[str]]
# A first row that is not a header may contain personal data: only valid names are quoted.
_NAME = re.compile(r"[\w .;\t-]{1,40}")


def check(columns: Sequence[str], *, fields: Collection[str], ways: Ways) -> None:
    """Raises FileRefused for a column that is no field, and without all columns of one way."""
    known = {*fields, REFUSED_LINE, REFUSED_BECAUSE} - {"metadata"}
    for number, name in enumerate(columns, start=1):
        shown = repr(name) if name and _NAME.fullmatch(name) else f"number {number}"
        if columns.count(name) > 1:
            raise FileRefused(f"the column {shown} is there twice")
        if name not in known and not (name.startswith(METADATA) and name != METADATA):
            raise FileRefused(f"the column {shown} is not known; {_advice(name, fields)}")
    if not any(set(way) <= set(columns) for way in ways):
        raise FileRefused(_what_is_missing(columns, ways))


def _what_is_missing(columns: Sequence[str], ways: Ways) -> str:
    needed = "the columns must be " + ", or ".join(" and ".join(way) for way in ways)
    begun = [way for way in ways if len(ways) == 1 or set(way) & set(columns)]
    first = [next(name for name in way if name not in columns) for way in begun]
    if not first:
        return needed
    missing = f"there is no column {' or '.join(map(repr, first))}"
    return missing if len(ways) == 1 else f"{missing}; {needed}"


def _advice(name: str, fields: Collection[str]) -> str:
    if any(mark in name for mark in ";\t"):
        return "columns must be separated by commas"
    names = [field for field in fields if field != "metadata"]
    if close := difflib.get_close_matches(name.lower().replace(" ", "_"), names, n=1, cutoff=0.8):
        return f"did you mean {close[0]!r}?"
    return f"columns may be {', '.join(names)}, metadata.NAME"
