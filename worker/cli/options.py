"""Options that several commands share, and how what was typed becomes what is asked."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from worker.cli import output

Json = output.Json
Key = Annotated[
    str | None, typer.Option("--key", help="The idempotency key; a repeat is the same request.")
]
Producer = Annotated[
    str, typer.Option(help="In whose name: a key belongs to its producer.", show_default=True)
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="May be repeated.")
]
Wait = Annotated[
    float | None,
    typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long for a final state."),
]
Phase = Annotated[
    str | None, typer.Option(help="Where a pending one stands, such as needs_review or queued.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many at most, newest first.")]
Moment = Annotated[
    datetime | None, typer.Option(help="A moment, in UTC: 2026-11-22 or 2026-11-22T10:00:00.")
]


def fields(**typed: Any) -> dict[str, Any]:
    """The fields of a request: what was not typed is absent, and a missing key is made."""
    given = {name: value for name, value in typed.items() if value is not None}
    given.setdefault("idempotency_key", _fresh_key())
    return given


def number(typed: str | None) -> Any:
    """What was typed as an amount, for the rules to judge: they know what to say of `19.99`."""
    if typed is None:
        return None
    if whole := re.fullmatch(r"([+-]?)0*([0-9]+)", typed):
        # Python reads no number of thousands of digits, and after thirty all are too large.
        return int(whole[1] + whole[2][:30])
    if re.fullmatch(r"[+-]?[0-9]+\.[0-9]+", typed):
        return Decimal(typed)
    return typed


def pairs(typed: Sequence[str] | None) -> dict[str, str] | None:
    """`--metadata name=value`, repeated."""
    if not typed:
        return None
    given: dict[str, str] = {}
    for one in typed:
        name, equals, value = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--metadata")
        if name in given:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint="--metadata")
        given[name] = value
    return given


def in_utc(typed: datetime | None) -> datetime | None:
    """A typed moment, which names no zone."""
    return typed and typed.replace(tzinfo=typed.tzinfo or UTC)


def _fresh_key() -> str:
    from uuid import uuid4

    return str(uuid4())
