"""Objects as tables for people (`words`); programs get them as they are."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cli import output
from cli.formatting import in_brief, in_words

# Rows that are laid out together: a long list is printed while it is read.
TABLE_ROWS = 100

View = Mapping[str, Any]


def show(view: View, *, as_json: bool) -> None:
    """One object; people see what is there, with amounts as they write them."""
    if as_json:
        output.print_json(view)
        return
    output.show({k: v for k, v in in_words(view).items() if v not in (None, {}, "")}, as_json=False)


def show_many(
    views: Iterable[View],
    columns: Sequence[str],
    *,
    as_json: bool,
    nothing: str,
    narrow: Sequence[str] = (),
    limit: int | None = None,
) -> None:
    """Many objects, printed as they come: however many, they are never all in memory.

    Costs are summed up. Where a terminal is too narrow, moments lose seconds, then hours; then only
    the columns `narrow` are shown, of which the last ones may be cut. `limit`: so many at most, and
    a word on stderr when there are more.
    """
    rest = iter(views)
    shown = rest if limit is None else islice(rest, limit)
    if as_json:
        _print_array(shown)
    else:
        _print_tables(shown, columns, nothing=nothing, narrow=narrow)
    if limit is not None and next(rest, None) is not None:
        output.note(f"there are more than these {limit}: --limit {limit * 10} lists more of them")


def _print_tables(
    rest: Iterator[View], columns: Sequence[str], *, nothing: str, narrow: Sequence[str]
) -> None:
    some, continued = list(islice(rest, TABLE_ROWS)), False
    while some or not continued:
        output.show_list(
            some,
            columns,
            as_json=False,
            nothing=nothing,
            forms=(_brief, _to_the_minute, _to_the_day),
            narrow=narrow,
            narrow_forms=(_short_to_the_minute, _short_to_the_day),
            block=_brief,
            continued=continued,
        )
        some, continued = list(islice(rest, TABLE_ROWS)), True


def _brief(view: View) -> View:
    return _moments(in_brief(view), "seconds")


def _to_the_minute(view: View) -> View:
    return _moments(in_brief(view), "minutes")


def _to_the_day(view: View) -> View:
    return _moments(in_brief(view), "days")


def _short_to_the_minute(view: View) -> View:
    return _moments(_short(view), "minutes")


def _short_to_the_day(view: View) -> View:
    return _moments(_short(view), "days")


def _short(view: View) -> View:
    """The brief form, with the state alone; the reason is only shown for a single object."""
    words = in_brief(view)
    return {**words, "state": view["state"]} if "state" in view else words


# How much of `2026-11-22T10:00:00.000000Z` tells a moment so precisely.
PRECISION = {"seconds": 19, "minutes": 16, "days": 10}


def _moments(words: View, precision: str) -> View:
    """In UTC, and saying so, but for days."""
    end, zone = PRECISION[precision], "" if precision == "days" else "Z"
    return {
        name: f"{value[:end].replace('T', ' ')}{zone}" if name.endswith("_at") and value else value
        for name, value in words.items()
    }


def _print_array(views: Iterable[View]) -> None:
    for line in _array(views):
        sys.stdout.write(line)


def _array(views: Iterable[View]) -> Iterator[str]:
    separator = "[\n"
    for view in views:
        yield separator + json.dumps(view, ensure_ascii=False)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
