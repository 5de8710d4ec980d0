"""CSV: a header that names the fields of a request, then a request per row."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TextIO

from pydantic.fields import FieldInfo

from cli import input_values
from cli.importing import columns
from cli.importing.columns import METADATA
from cli.importing.lines import (
    REFUSED_BECAUSE,
    REFUSED_LINE,
    FileRefused,
    Line,
    is_too_long,
    physical_lines,
)

KEY = "idempotency_key"
# The limit of a record with line breaks in quotes: beyond that, a quote was not closed.
RECORD_CHARACTERS_MAX = 2_000_000
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


class CsvFile:
    """Reads a file, from its beginning to its end, once."""

    suffix = ".csv"

    def __init__(self, file: BinaryIO, *, fields: Mapping[str, FieldInfo], ways: columns.Ways):
        # What people write where a number belongs is judged by the rules, which know the fix.
        self._readers = {
            name: input_values.reader(field.annotation) for name, field in fields.items()
        }
        self._records = _Records(file)
        self._header = self._read_header()
        self._columns = [name.strip() for name in self._header]
        columns.check(self._columns, fields=fields, ways=ways)

    def __iter__(self) -> Iterator[Line]:
        while (record := self._records.read()) is not None:
            number, cells, trouble = record
            if trouble is None and not any(cells):
                continue  # an empty line, or a row of empty cells as spreadsheets leave behind
            if trouble is None and len(cells) != len(self._header):
                trouble = f"has {len(cells)} cells, and the header has {len(self._header)}"
            if trouble is not None:
                yield Line(number, cells, trouble=trouble)
            else:
                yield Line(number, cells, self._fields(cells))

    def _fields(self, cells: Sequence[str]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, cell in zip(self._columns, cells, strict=True):
            if not cell or name in (REFUSED_LINE, REFUSED_BECAUSE):
                continue
            if name.startswith(METADATA):
                fields.setdefault("metadata", {})[name.removeprefix(METADATA)] = cell
            else:
                fields[name] = self._readers[name](cell)
        return fields

    def write_header(self, out: TextIO) -> None:
        """The header of a file of refused lines: ours, and why, and under which key."""
        added = [] if KEY in self._columns else [KEY]
        csv.writer(out).writerow([REFUSED_LINE, REFUSED_BECAUSE, *added, *self._own(self._header)])

    def write(self, out: TextIO, line: Line, *, because: str, key: str | None) -> None:
        """A line for such a file. The key that was made for it stays its key."""
        added = [] if KEY in self._columns else [key or ""]
        cells = list(line.source)
        if KEY in self._columns and len(cells) == len(self._columns):
            cells[self._columns.index(KEY)] = cells[self._columns.index(KEY)] or key or ""
        csv.writer(out).writerow([line.number, because, *added, *self._own(cells)])

    def _own(self, cells: Sequence[str]) -> list[str]:
        """The cells without the columns of an earlier file of refused lines."""
        if len(cells) != len(self._columns):
            return list(cells)
        ours = (REFUSED_LINE, REFUSED_BECAUSE)
        named = zip(self._columns, cells, strict=True)
        return [cell for name, cell in named if name not in ours]

    # --- The header ---

    def _read_header(self) -> list[str]:
        record = self._records.read()
        if record is None:
            raise FileRefused("the file is empty; its first line must name the columns")
        _, header, trouble = record
        if trouble or any("\x00" in name for name in header):
            raise FileRefused(f"the first line is no header: {trouble or 'this is not text'}")
        if not any(header):
            raise FileRefused("the first line is empty; it must name the columns")
        return header


class _Records:
    """Rows of CSV with the numbers of their lines; what can't be read is a row with trouble."""

    def __init__(self, file: BinaryIO) -> None:
        self._feed = _Feed(file)
        self._rows = csv.reader(self._feed, strict=True)

    def read(self) -> tuple[int, list[str], str | None] | None:
        """Number of its first line, cells, trouble; None at the end of the file."""
        self._feed.begin()
        number = self._feed.count + 1
        try:
            cells = next(self._rows)
        except StopIteration:
            return None
        except csv.Error as error:
            return number, ["".join(self._feed.taken)], _in_words(error)
        if self._feed.is_too_long:
            return number, cells, "too long"
        if any(_NOT_UTF_8.search(cell) for cell in cells):
            return number, cells, "not UTF-8; save the file as UTF-8"
        return number, cells, None


class _Feed:
    """Lines for the csv module, which takes several when there are line breaks in quotes."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self._lines = physical_lines(file)
        self.begin()

    def begin(self) -> None:
        """A record begins: forget those of the one before."""
        self.taken: list[str] = []
        self._characters = 0
        self.is_too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._characters > RECORD_CHARACTERS_MAX:
            raise csv.Error("unexpected end of data")  # as it says itself at the end of the file
        line = next(self._lines)
        self.count += 1
        self.is_too_long |= is_too_long(line)
        text = line.decode(errors="surrogateescape")
        text = text.removeprefix("\ufeff") if self.count == 1 else text
        self.taken.append(text)
        self._characters += len(text)
        return text


def _in_words(error: csv.Error) -> str:
    said = str(error)
    if "new-line" in said:
        return "a carriage return stands alone; lines must end with LF or CRLF"
    if "field larger" in said or "unexpected end" in said:
        return "a quote is opened and not closed"
    return f"not CSV: {said}"
