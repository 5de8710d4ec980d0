"""How commands answer: tables for people, JSON for programs, reasons on stderr."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

JSON_FLAG = "--json"
PIPE_WIDTH = 1000
# In a command's signature: `as_json: Json = False`.
Json = Annotated[bool, typer.Option(JSON_FLAG, help="Answer in JSON.")]


class Failed(Exception):
    """A command was refused or failed, in words for the person who typed it."""

    def __init__(self, detail: str, *, code: str = "failed", param: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.param = param


def console() -> Console:
    """Where answers go. Made anew each time, since tests and pipes exchange sys.stdout."""
    # A file or a pipe has no edge at which an id would have to be broken in two.
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    # No markup: what is shown may hold [brackets].
    return Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True, width=width)


def show(record: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a line per field, or a JSON object. Fields that are None show as –."""
    if as_json:
        print_json(record)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name, _cell(value))
    console().print(table)


def show_list(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, nothing: str
) -> None:
    """Many things: a table of these columns, or a JSON array with all fields.

    `nothing` is said, on stderr, when there are none: "no charges yet".
    """
    if as_json:
        print_json(records)
        return
    if not records:
        sys.stderr.write(f"{nothing}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        numeric = all(isinstance(record.get(name), int | None) for record in records)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=name == columns[0],  # what one copies: an id in one piece
        )
    for record in records:
        table.add_row(*(_cell(record.get(name)) for name in columns))
    console().print(table)


def print_json(answer: object) -> None:
    """An answer for programs, on stdout; moments as RFC 3339."""
    sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False, default=_plain) + "\n")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on stderr when that is a terminal, nothing otherwise.

    `with progress("importing", 200) as bar: bar.advance(bar.task_ids[0])`
    """
    screen = Console(file=sys.stderr)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    with bar:
        bar.add_task(what, total=total)
        yield bar


def fail(failure: Exception) -> NoReturn:
    """Say why on stderr, as JSON when JSON was asked for, and exit with 1."""
    if JSON_FLAG in sys.argv:
        error = {
            "code": getattr(failure, "code", "failed"),
            "detail": str(failure),
            "param": getattr(failure, "param", None),
        }
        sys.stderr.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
    else:
        code, param = getattr(failure, "code", None), getattr(failure, "param", None)
        known = ": ".join(filter(None, (code, param))) if code != "failed" else ""
        sys.stderr.write(f"{failure}{known and f' [{known}]'}\n")
    sys.exit(1)


def in_words(error: Exception) -> Failed | None:
    """What to tell a person about an error of the world; None when it is a bug of ours."""
    from kombu.exceptions import OperationalError as BrokerError
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    from payments.errors import Refused
    from worker.diagnosis import reason
    from worker.log import scrub
    from worker.revisions import Behind

    if isinstance(error, Refused):
        return Failed(str(error), code=error.code, param=error.param)
    if isinstance(error, Behind):
        return Failed(str(error), code="database_behind")
    if isinstance(error, OperationalError | InterfaceError):
        said = f"the database does not answer: {reason(error)}"
        return Failed(said, code="database_unavailable")
    if isinstance(error, DBAPIError):
        return Failed(f"the database refuses this: {reason(error)}", code="database_error")
    if isinstance(error, BrokerError | ConnectionError):
        said = f"the broker does not answer: {scrub(str(error)).strip()}"
        return Failed(said, code="broker_unavailable")
    if isinstance(error, OSError) and error.strerror:  # a full disk, a file that is not ours
        where = f": {error.filename}" if error.filename else ""
        return Failed(f"the system refuses this: {error.strerror}{where}", code="system_error")
    return None


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return _shown(str(value))


def _shown(text: str) -> str:
    """The text without what terminals obey: some of it was said by strangers."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
