"""Objects as tables for people (`words`); programs get them as they are."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from worker.cli import output
from worker.cli.words import in_words

# Rows that are laid out together: a long list is printed while it is read.
TABLE_ROWS = 100


def show(view: Mapping[str, Any], *, as_json: bool) -> None:
    """One object; people see what is there, with amounts as they write them."""
    if as_json:
        output.print_json(view)
        return
    output.show({k: v for k, v in in_words(view).items() if v not in (None, {}, "")}, as_json=False)


def show_many(
    views: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, nothing: str
) -> None:
    """Many objects, printed as they come: however many, they are never all in memory."""
    if as_json:
        _print_array(views)
        return
    rows = (_briefly(in_words(view)) for view in views)
    some = list(islice(rows, TABLE_ROWS))
    output.show_list(some, columns, as_json=False, nothing=nothing)
    while some := list(islice(rows, TABLE_ROWS)):
        output.show_list(some, columns, as_json=False, nothing=nothing)


def _briefly(words: dict[str, Any]) -> dict[str, Any]:
    """For a line of a table: to the second, and in UTC like everything here."""
    return {
        name: f"{value[:10]} {value[11:19]}" if name.endswith("_at") and value else value
        for name, value in words.items()
    }


def _print_array(views: Iterable[Mapping[str, Any]]) -> None:
    for line in _array(views):
        sys.stdout.write(line)


def _array(views: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    separator = "[\n"
    for view in views:
        yield separator + json.dumps(view, ensure_ascii=False)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
