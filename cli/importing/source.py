"""A file of requests, with each of its lines checked by the rules."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.importing.columns import Ways
from cli.importing.csv_file import CsvFile
from cli.importing.json_file import JsonFile
from cli.importing.lines import FileRefused, Line
from infra.billing.contract.ids import Kind
from infra.billing.contract.requests.by_kind import MODELS, Request
from infra.billing.contract.requests.charge_request import WAYS
from payments.payment_errors import InvalidRequest
from service import intake

FORMATS: dict[str, type[CsvFile] | type[JsonFile]] = {
    ".csv": CsvFile,
    ".jsonl": JsonFile,
    ".ndjson": JsonFile,
}
# With what stands before and behind it, within the 255 of a key.
NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is refused, and the field that is to be mended, if it is one."""

    because: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A line, and the request that it makes, or why it makes none."""

    line: Line
    key: str | None  # the one that was made for it; None when it has one of its own
    request: Request | None = None
    refusal: Refusal | None = None


class Source:
    """An open file of charges or refunds. `read` goes through it, and can be called repeatedly.

    A line without a key gets one made of the file's name and the line's number: so an interrupted
    import can be started again, and nothing happens twice. That holds while lines keep their
    places; `cli.importing.line_checks` ensures that.
    """

    def __init__(self, path: Path, kind: Kind, *, producer: str) -> None:
        self.path, self.kind, self._producer = path, kind, producer
        if path.suffix.lower() not in FORMATS:
            raise FileRefused(f"the name must end in {', '.join(FORMATS)}")
        self._format = FORMATS[path.suffix.lower()]
        if not path.is_file():  # a pipe can't be read twice
            raise FileRefused("there is no such file")
        self._file = path.open("rb")
        self._as_it_was = self._stamp()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self) -> Iterator[Checked]:
        """Every line. Raises FileRefused for a file in which lines can't be told apart."""
        self.reader = self._opened()
        for line in self.reader:
            yield self._checked(line)

    def require_unchanged(self) -> None:
        """Raise FileRefused if the file was changed since it was opened."""
        if self._stamp() != self._as_it_was:
            raise FileRefused("it was changed while it was read; import it again")

    def _opened(self) -> CsvFile | JsonFile:
        self._file.seek(0)
        fields = MODELS[self.kind].model_fields
        return self._format(self._file, fields=fields, ways=ways(self.kind))

    def _checked(self, line: Line) -> Checked:
        key = None if line.fields.get("idempotency_key") is not None else self._key(line.number)
        if line.trouble is not None:
            return Checked(line, key, refusal=Refusal(line.trouble))
        fields = dict(line.fields)
        if fields.get("producer") is None:  # null is the same as absent, as at every other door
            fields["producer"] = self._producer
        if key is not None:
            fields["idempotency_key"] = key
        try:
            return Checked(line, key, intake.request(self.kind, fields))
        except InvalidRequest as refused:
            return Checked(line, key, refusal=Refusal(str(refused), refused.param))

    def _key(self, number: int) -> str:
        name = self.path.name
        if len(name) > NAME_MAX or not name.isprintable():
            raise FileRefused(
                f"its name must be of at most {NAME_MAX} printable characters, as it becomes part"
                " of the keys; or give each line an idempotency_key"
            )
        return f"import:{name}:{number}"

    def _stamp(self) -> tuple[int, int, int]:
        seen = os.fstat(self._file.fileno())
        return seen.st_ino, seen.st_size, seen.st_mtime_ns


def ways(kind: Kind) -> Ways:
    """The fields that a line of this kind can't go without: all of one of these."""
    fields = MODELS[kind].model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    required.remove("idempotency_key")  # it is made
    return [[*required, *way] for way in (WAYS if kind == "charge" else ((),))]
