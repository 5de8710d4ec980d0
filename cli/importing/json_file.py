"""JSON lines: an object per line, with the fields of a request."""

import json
import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any, BinaryIO, TextIO

from cli.importing.columns import Ways
from cli.importing.lines import (
    REFUSED_BECAUSE,
    REFUSED_LINE,
    REFUSED_TEXT,
    Line,
    is_too_long,
    physical_lines,
)
from infra.billing.contract import strict_json
from infra.billing.contract.strict_json import NotStrict

KEY = "idempotency_key"
# In a text that is written to a file: half of a pair that UTF-16 writes for one character.
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
# Deeper, nothing is meant; and what writes lines calls itself for each level.
DEPTH_MAX = 50


class JsonFile:
    """Reads a file, from its beginning to its end, once."""

    suffix = ".jsonl"

    def __init__(self, file: BinaryIO, *, fields: Collection[str], ways: Ways):
        # Unlike columns, names may differ from line to line: the rules look at each line's.
        self._file = file

    def __iter__(self) -> Iterator[Line]:
        for number, raw in enumerate(physical_lines(self._file), start=1):
            text = raw.decode(errors="surrogateescape")
            text = (text.removeprefix("\ufeff") if number == 1 else text).strip()
            if not text:
                continue
            try:
                raw.decode()
                trouble = "too long" if is_too_long(raw) else None
            except UnicodeDecodeError:
                trouble = "not UTF-8; save the file as UTF-8"
            if trouble is not None:
                yield Line(number, text, trouble=trouble)
                continue
            fields, trouble = read(text)
            yield Line(number, text, fields, trouble)

    def write_header(self, out: TextIO) -> None:
        """There is none."""

    def write(self, out: TextIO, line: Line, *, because: str, key: str | None) -> None:
        """A line for a file of refused ones. The key that was made for it stays its key."""
        added: dict[str, Any] = {REFUSED_LINE: line.number, REFUSED_BECAUSE: because}
        if line.trouble is not None:
            said = written({**added, REFUSED_TEXT: line.source})
        elif line.fields.get(KEY) is None:
            said = written({**added, **line.fields, KEY: key})
        else:
            said = written({**added, **line.fields})
        out.write(f"{said}\n")


def written(value: Any) -> str:
    """The value as JSON; a Decimal is written as it was read, which `json` has no way to do."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{written(n)}: {written(v)}" for n, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return json.dumps(value) if _HALF_A_CHARACTER.search(text) else text


def read(text: str) -> tuple[dict[str, Any], str | None]:
    """The fields of a line, or why it has none."""
    try:
        value = strict_json.read(text)
    except json.JSONDecodeError as error:
        return {}, f"not JSON: {error.msg} at character {error.colno}"
    except NotStrict as wrong:
        return {}, str(wrong)
    except RecursionError:
        return {}, "nested too deeply"
    if not isinstance(value, dict):
        return {}, 'must be an object, like {"amount": 1999, "currency": "USD"}'
    if strict_json.is_deeper(value, DEPTH_MAX):
        return {}, "nested too deeply"
    if REFUSED_TEXT in value:
        return {}, f"mend what stands in {REFUSED_TEXT}, and put it in this line's place"
    added = (REFUSED_LINE, REFUSED_BECAUSE)
    return {name: given for name, given in value.items() if name not in added}, None
