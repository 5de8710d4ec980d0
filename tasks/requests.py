"""Reading a task's arguments: bad input is refused by name, never guessed."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.ids import is_id
from payments.errors import InvalidRequest
from payments.redaction import field_name


def only_keywords(args: Sequence[Any]) -> None:
    """Positions say nothing about money."""
    if args:
        raise InvalidRequest("send keyword arguments, not positional ones", param="args")


def by_name(args: Sequence[Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request. Positional arguments become one that no request has, so that it is
    refused, kept and told like any other with an unknown field."""
    return {**fields, "args": list(args)} if args else fields


def nothing(args: Sequence[Any], fields: Mapping[str, Any]) -> None:
    """A sweep looks for itself; whoever sends it something means another task."""
    if args or fields:
        raise InvalidRequest("this task takes no arguments")


def id_field(fields: Mapping[str, Any], name: str, prefix: str) -> str:
    """The one field that must be there: an id of ours. Anything else is not even repeated."""
    if unknown := [field for field in fields if field != name]:
        param = field_name(unknown[0])
        sent = repr(param) if param else "one of the names sent"
        raise InvalidRequest(f"{sent} is not a field; send {name}", param=param)
    value = fields.get(name)
    if not isinstance(value, str) or not is_id(value, prefix):
        raise InvalidRequest(f"{name} must be an id ({prefix}…)", param=name)
    return value
