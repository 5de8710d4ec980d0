"""Reading a task's arguments: bad input is refused by name, never guessed."""

from collections.abc import Mapping, Sequence
from typing import Any

from payments.errors import InvalidRequest


def only_keywords(args: Sequence[Any]) -> None:
    """Positions say nothing about money."""
    if args:
        raise InvalidRequest("send keyword arguments, not positional ones", param="args")


def by_name(args: Sequence[Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request. Positional arguments become one that no request has, so that it is
    refused, kept and told like any other with an unknown field."""
    return {**fields, "args": list(args)} if args else fields


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """The one field that must be there, as text."""
    unknown = sorted(str(field)[:40] for field in fields if field != name)
    if unknown:
        raise InvalidRequest(f"{unknown[0]!r} is not a field; send {name}", param=unknown[0])
    value = fields.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 255:
        raise InvalidRequest(f"{name} is required, as text", param=name)
    return value
