"""How Stripe's requests are written: `metadata[order]=7`, `expand[]=customer`, `created[gte]=1`."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from local.stripe_door.wire.stripe_errors import invalid

Read = Callable[[str, Any], Any]
# What an endpoint takes, and how each of it is read.
Takes = Mapping[str, Read]

_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> dict[str, Any]:
    """The nested values of a form; lists may be written with or without numbers."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, bracket, _ = name.partition("[")
        path = [head, *_PART.findall(name[len(head) :])] if bracket else [name]
        _put(root, path, value, name)
    return {name: _lists(value) for name, value in root.items()}


def _put(node: dict[str, Any], path: list[str], value: str, name: str) -> None:
    for part in path[:-1]:
        node = node.setdefault(part or str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid(f"Invalid parameters: {name} is both a value and a hash", param=name)
    last = path[-1]
    node[last or str(len(node))] = value


def _lists(value: Any) -> Any:
    """Hashes whose names count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(one) for name, one in value.items()}
    if inner and list(inner) == [str(place) for place in range(len(inner))]:
        return list(inner.values())
    return inner


def read(given: Mapping[str, Any], takes: Takes, *, required: tuple[str, ...] = ()) -> Any:
    """The parameters as their types. Raises Refused, as Stripe does, before anything is done."""
    for name in given:
        if name not in takes:
            raise invalid(
                f"Received unknown parameter: {name}", param=name, code="parameter_unknown"
            )
    for name in required:
        if given.get(name) in (None, ""):
            raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    return {name: takes[name](name, value) for name, value in given.items()}


# --- types ------------------------------------------------------------------------------------


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", param=name)
    return value


def whole(name: str, value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
    return int(value)


def amount(name: str, value: Any) -> int:
    """Minor units, more than none."""
    return _at_least(1, name, value)


def amount_or_none(name: str, value: Any) -> int:
    """Minor units, perhaps 0."""
    return _at_least(0, name, value)


def _at_least(least: int, name: str, value: Any) -> int:
    units = whole(name, value)
    if units < least:
        raise invalid(
            f"This value must be greater than or equal to {least}.",
            param=name,
            code="parameter_invalid_integer",
        )
    return units


def yes_or_no(name: str, value: Any) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def either(*choices: str) -> Read:
    """One of these words."""

    def choose(name: str, value: Any) -> str:
        if value not in choices:
            listed = f"{', '.join(choices[:-1])}, or {choices[-1]}" if choices[1:] else choices[0]
            raise invalid(f"Invalid {name}: must be one of {listed}", param=name)
        return str(value)

    return choose


def texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise invalid("Invalid array", param=name)
    return value


def words(name: str, value: Any) -> dict[str, str]:
    """Metadata: texts by name. An empty text takes them all away."""
    if value in ("", []):
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise invalid("Invalid object", param=name)
    for key, one in value.items():
        if len(key) > 40 or len(one) > 500:
            raise invalid(
                "Metadata keys are up to 40 characters long and values up to 500.",
                param=f"{name}[{key[:40]}]",
            )
    return value


def anything(name: str, value: Any) -> Any:
    """What is taken, and not looked at here."""
    return value


def moments(name: str, value: Any) -> dict[str, int]:
    """A second, or a range of them; as `{"gte": …, "lte": …}`."""
    if isinstance(value, str):
        second = whole(name, value)
        return {"gte": second, "lte": second}
    if not isinstance(value, dict) or not set(value) <= {"gt", "gte", "lt", "lte"}:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp", param=name)
    bounds = {bound: whole(f"{name}[{bound}]", one) for bound, one in value.items()}
    if "gt" in bounds:
        bounds["gte"] = max(bounds.get("gte", 0), bounds.pop("gt") + 1)
    if "lt" in bounds:
        bounds["lte"] = min(bounds.get("lte", 2**53), bounds.pop("lt") - 1)
    return bounds
