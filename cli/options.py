"""Options that several commands share, and how what was typed becomes what is asked."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli import output
from cli.input_values import number as typed_number

WAIT_MAX_S = 86_400

Json = output.Json
Key = Annotated[
    str | None, typer.Option("--key", help="The idempotency key; a repeat is the same request.")
]
Producer = Annotated[
    str,
    typer.Option(
        help="The producer in whose name to ask; keys belong to producers.", show_default=True
    ),
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="May be repeated.")
]
Unset = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="NAME", help="Take a name out of the metadata. Repeatable."),
]
Active = Annotated[bool | None, typer.Option("--active/--inactive", help="Take new charges?")]
Order = Annotated[Literal["desc", "asc"], typer.Option(help="desc is newest first.")]
Phase = Annotated[
    str | None,
    typer.Option(help="Only pending ones in this phase, such as needs_review or queued."),
]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000_000, help="How many at most.")]


class Misused(typer.BadParameter):
    """Options that don't go together, in a whole sentence that says which do."""

    def format_message(self) -> str:
        return self.message


def moment(typed: str) -> datetime:
    """A moment as people type it, or as our own answers write it; UTC unless it names a zone."""
    try:
        at = datetime.fromisoformat(typed.strip())
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{typed!r} is not a moment like 2026-11-22 or 2026-11-22T10:00:00Z"
        ) from None


def charge_id(typed: str) -> str:
    """The id of a charge, looked at before anything is written: `ch_…` is pasted now and then."""
    from infra.billing.contract.ids import is_id

    if not is_id(typed, "ch_"):
        raise typer.BadParameter(
            "this is not the id of a charge, which is ch_ and 32 letters and digits; see"
            " `billing charge list`"
        )
    return typed


def seconds(typed: str) -> float:
    """A time to wait, up to a day."""
    try:
        wait_s = float(typed)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= WAIT_MAX_S:  # nan is in no range
        raise typer.BadParameter(f"{typed!r} is not a number of seconds from 0 to {WAIT_MAX_S}")
    return wait_s


Wait = Annotated[
    float | None,
    typer.Option(
        "--wait", parser=seconds, metavar="SECONDS", help="Wait this long for a final state."
    ),
]
Moment = Annotated[
    datetime | None,
    typer.Option(
        parser=moment,
        metavar="MOMENT",
        help="In UTC unless it names a zone: 2026-11-22, 2026-11-22T10:00:00, …T10:00:00+02:00.",
    ),
]


def fields(**typed: Any) -> dict[str, Any]:
    """The fields of a request: what was not typed is absent, and a missing key is made."""
    return {"idempotency_key": _fresh_key(), **sent(**typed)}


def sent(**typed: Any) -> dict[str, Any]:
    """What was typed."""
    return {name: value for name, value in typed.items() if value is not None}


def emptied(**typed: str | None) -> dict[str, str | None]:
    """What was typed; what was typed empty is to be taken away."""
    return {name: value or None for name, value in typed.items() if value is not None}


def number(typed: str | None) -> Any:
    """What was typed as an amount, for the rules to judge."""
    return None if typed is None else typed_number(typed)


def read(typed: str) -> str:
    """What was typed, or a line of stdin in place of `-`: of what others on the machine may not
    see on a command line."""
    return sys.stdin.readline().strip() if typed == "-" else typed


def pairs(typed: Sequence[str] | None, option: str = "--metadata") -> dict[str, str] | None:
    """`--metadata name=value`, repeated."""
    if not typed:
        return None
    given: dict[str, str] = {}
    for one in typed:
        name, equals, value = one.partition("=")
        if not equals:
            # The value of a header must not be quoted.
            said = f"{one!r} is not" if option == "--metadata" else "it must be"
            raise typer.BadParameter(f"{said} NAME=VALUE", param_hint=option)
        if name in given:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=option)
        given[name] = value if option == "--metadata" else _unseen(value, option)
    return given


def _unseen(typed: str, option: str) -> str:
    """A value that is a secret: itself, a line of stdin (`-`), or what a file holds (`@FILE`)."""
    if not typed.startswith("@"):
        return read(typed)
    try:
        return Path(typed[1:]).read_text().strip()
    except (OSError, UnicodeError):
        raise typer.BadParameter("the file can't be read", param_hint=option) from None


def metadata_changes(
    typed: Sequence[str] | None,
    unset: Sequence[str] | None,
    options: tuple[str, str] = ("--metadata", "--unset"),
) -> dict[str, str | None] | None:
    """`--metadata name=value` sets, `--unset name` takes away; None if neither was typed."""
    new = pairs(typed, options[0]) or {}
    for name in unset or ():
        if name in new:
            raise typer.BadParameter(f"{name!r} is set, too", param_hint=options[1])
    return {**new, **dict.fromkeys(unset or ())} or None


def _fresh_key() -> str:
    from uuid import uuid4

    return str(uuid4())
