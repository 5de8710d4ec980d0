"""How commands answer: tables for people, JSON for programs, reasons on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

JSON_FLAG = "--json"
PIPE_WIDTH = 1_000_000  # more than anything we say
GAP = "  "  # between two columns
CUT_MIN = 20  # A column that is cut still says what it is about; moments fit.
# Makes a row of a record.
Form = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# In a command's signature: `as_json: Json = False`.
Json = Annotated[bool, typer.Option(JSON_FLAG, help="Answer in JSON.")]


class Failed(Exception):
    """A command was refused or failed, explained for the user."""

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
    _show_fields(record, width=max(map(cell_len, record), default=0))


def show_list(
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    nothing: str,
    forms: Sequence[Form] = (dict,),
    narrow: Sequence[str] = (),
    narrow_forms: Sequence[Form] = (dict,),
    block: Form = dict,
    continued: bool = False,
) -> None:
    """Many things: a table of these columns, or a JSON array with all fields.

    `nothing` is said, on stderr, when there are none: "no charges yet". `forms` make rows of the
    records, the fullest first: the first table that fits the terminal is printed. When none does,
    a table of the columns `narrow` is, whose first is an id and stays whole, and whose texts are
    cut where they must be; a note says what is left out. Where there is no room for that, either,
    each record is shown by itself, in the form `block`, without what it lacks. A pipe has room for
    the fullest. `continued` are more of the same list.
    """
    if as_json:
        print_json(records)
        return
    if not records:
        sys.stderr.write(f"{nothing}\n")
        return
    screen = console()
    for form in forms:
        lines = _table([form(record) for record in records], columns)
        if max(line.cell_len for line in lines) <= screen.width:
            for line in lines:
                screen.print(line)
            return
    for form in narrow_forms if narrow else ():
        lines = _table([form(record) for record in records], narrow, fit=screen.width)
        if max(line.cell_len for line in lines) <= screen.width:
            for line in lines:
                screen.print(line)
            left_out = ", ".join(name for name in columns if name not in narrow)
            said = f"not shown at this width: {left_out}; {JSON_FLAG} has everything"
            note("\n".join(_wrapped(said, screen.width)))
            return
    width = max(map(cell_len, columns))
    for number, record in enumerate(map(block, records)):
        if number or continued:
            screen.print()
        there = {name: record.get(name) for name in columns if record.get(name) is not None}
        _show_fields(there, width=width)


def say(text: str, *, head: str | Text = "") -> None:
    """A text behind its head, wrapped at spaces, and further lines indented to stand below it.

    No word is broken, so that ids can be copied, even where one is longer than the line.
    """
    screen = console()
    begin = Text(head) if isinstance(head, str) else head
    room = screen.width - begin.cell_len
    for part in (part for line in shown(text).split("\n") for part in _wrapped(line, room)):
        # Assembled, and not added: a sum has the style of its first part all over.
        screen.print(_stripped(Text.assemble(begin, part)))
        begin = Text(" " * begin.cell_len)


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
        # It would carry what is printed meanwhile to the terminal, out of a pipe, too.
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        bar.add_task(what, total=total)
        yield bar


def note(said: str) -> None:
    """Something to know beside the answer, on stderr; as JSON when JSON was asked for."""
    if JSON_FLAG in sys.argv:
        said = json.dumps({"note": said}, ensure_ascii=False)
    sys.stderr.write(f"{said}\n")


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
    """The explanation of an external error for people; None if it is a bug of ours."""
    from kombu.exceptions import OperationalError as BrokerError
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    from payments.payment_errors import Refused
    from service.database.diagnosis import Hopeless, reason
    from service.database.revisions import Behind
    from service.log import scrub

    if isinstance(error, Refused):
        return Failed(str(error), code=error.code, param=error.param)
    if isinstance(error, Behind):
        return Failed(str(error), code="database_behind")
    if isinstance(error, Hopeless):
        return Failed(str(error), code="database_unavailable")
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


def _show_fields(record: Mapping[str, Any], *, width: int) -> None:
    """A line per field; names are given so much room."""
    for name, value in record.items():
        say(_cell(value), head=Text(set_cell_size(name, width) + GAP, "bold"))


def _table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, fit: int | None = None
) -> list[Text]:
    """The lines of a table in which nothing is wrapped; its heading first. With `fit`, columns
    behind the first are cut, the widest first and none below CUT_MIN, for it to be so wide."""
    cells = [[_cell(row.get(name)).replace("\n", " ") for name in columns] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    on_the_right = [_is_numeric([row.get(name) for row in rows]) for name in columns]
    if fit is not None:
        widths = _cut(widths, fit)
        cells = [[_ellipsis(c, w) for c, w in zip(row, widths, strict=True)] for row in cells]

    def line(texts: Sequence[str], style: str = "") -> Text:
        parts = [
            " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)
            for text, width, right in zip(texts, widths, on_the_right, strict=True)
        ]
        return _stripped(Text(GAP.join(parts), style))

    return [line(columns, "bold"), *map(line, cells)]


def _cut(widths: Sequence[int], fit: int) -> list[int]:
    """Widths that fit if they can. Times and amounts are short, and so stay whole."""
    cut = list(widths)
    while (over := sum(cut) + len(GAP) * (len(cut) - 1) - fit) > 0:
        widest = max(range(1, len(cut)), key=lambda n: cut[n], default=0)
        if widest == 0 or cut[widest] <= CUT_MIN:
            break
        cut[widest] = max(CUT_MIN, cut[widest] - over)
    return cut


def _ellipsis(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def _is_numeric(values: Iterable[object]) -> bool:
    """Whether there are numbers, and nothing else but what is missing."""
    there = [value for value in values if value is not None]
    numbers = [isinstance(value, int) and not isinstance(value, bool) for value in there]
    return bool(there) and all(numbers)


def _wrapped(line: str, width: int) -> list[str]:
    """The line in parts that fit, as far as its words do."""
    first, *words = line.rstrip().split(" ")
    parts, room = [first], width - cell_len(first)
    for word in words:
        needed = cell_len(word) + 1
        if needed <= room:
            parts[-1] += f" {word}"
            room -= needed
        else:
            parts.append(word)
            room = width + 1 - needed
    return parts


def _stripped(line: Text) -> Text:
    """Without spaces at its end, which only disturb copying and comparing."""
    line.rstrip()
    return line


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return shown(str(value))


def shown(text: str) -> str:
    """The text without terminal control characters, as outsiders wrote some of it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
