"""What people type as a number, or as yes or no, on a command line or in a file."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin


def number(typed: str) -> Any:
    """What was typed, for the rules to judge: they know what to say of `19.99`, and of a word."""
    if whole := re.fullmatch(r"([+-]?)0*([0-9]+)", typed, re.ASCII):
        # Python reads no number of thousands of digits, and after thirty all are too large.
        return int(whole[1] + whole[2][:30])
    if re.fullmatch(r"[+-]?[0-9]+\.[0-9]+", typed, re.ASCII):
        return Decimal(typed)
    return typed


def reader(annotation: Any) -> Callable[[str], Any]:
    """How a value is typed in a field of this type, for the rules to judge."""
    every = [*kinds(annotation)]
    read = next((_READERS[kind] for kind in every if kind in _READERS), str)
    if any(get_origin(kind) is list for kind in every):
        return lambda typed: [read(one.strip()) for one in typed.split(",")]
    return read


def truth(typed: str) -> bool | str:
    """What was typed, for the rules to judge unless it is `true` or `false`, exactly."""
    return {"true": True, "false": False}.get(typed, typed)


def kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of, and what is marked beside them."""
    yield annotation
    for part in get_args(annotation):
        yield from kinds(part)


_READERS: Mapping[Any, Callable[[str], Any]] = {int: number, bool: truth}
