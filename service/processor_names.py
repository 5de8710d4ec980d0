"""How settings name processors, their routes, and the sandbox's limits."""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from payments.processors.processor_limits import MoneyLimit
from payments.processors.routing import Route

# The processors that come with the service, by name: a function that makes one from the settings.
# Packages bring others as entry points of this group, which name such a function in the same way.
BUILT_IN = {"sandbox": "service.wiring:sandbox", "stripe": "service.wiring:stripe"}
ENTRY_POINTS = "billing.processors"
# A currency, the minimum, the maximum and the multiple that the sandbox accepts.
SANDBOX_LIMIT = re.compile(r"([A-Z]{3}):([0-9]{1,15})-([0-9]{1,15})(?:/([0-9]{1,9}))?")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


# The processor of a new charge, by what the charge is: `stripe:currency=EUR:producer=shop`.
_CONDITION = re.compile(r"(currency)=([A-Z]{3})|(producer)=([A-Za-z0-9._-]+)|(method)=(\w+\*?)")


def route(text: str) -> Route:
    """A route in the form of the settings. Raises ValueError."""
    processor, *conditions = text.strip().split(":")
    said: dict[str, str] = {}
    for condition in conditions:
        found = _CONDITION.fullmatch(condition)
        name, _, value = condition.partition("=")
        if found is None or name in said:
            raise ValueError
        said[name] = value
    if not said:
        raise ValueError
    return Route(processor, **said)


def _routes(value: object) -> object:
    if isinstance(value, str):
        return tuple(route(part) for part in value.split(",") if part.strip())
    return value


# How much one person may refund of a charge: a currency, or * for all others, and an amount.
_APPROVED_ABOVE = re.compile(r"([A-Z]{3}|\*):([0-9]{1,15})")


def _approved_above(value: object) -> object:
    if not isinstance(value, str):
        return value
    above: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        found = _APPROVED_ABOVE.fullmatch(part)
        if found is None or found[1] in above:
            raise ValueError
        above[found[1]] = int(found[2])
    return above


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _known(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or len(set(value)) != len(value) or not all(map(_is_processor, value)):
        raise ValueError
    return value


def _sandbox_limits(value: str) -> str:
    for _, least, most, multiple in SANDBOX_LIMIT.findall(value):
        MoneyLimit(int(least), int(most), int(multiple or 1))  # raises ValueError
    return value


def maker_of(name: str) -> EntryPoint:
    """What makes the processor of this name, built in or brought by a package; not loaded yet.
    Raises KeyError if there is none."""
    if name in BUILT_IN:
        return EntryPoint(name, BUILT_IN[name], ENTRY_POINTS)
    return entry_points(group=ENTRY_POINTS)[name]


def _is_processor(name: str) -> bool:
    try:
        maker_of(name)
    except KeyError:
        return False
    return _NAME.fullmatch(name) is not None


ProcessorNames = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_names), AfterValidator(_known)
]
ProcessorRoutes = Annotated[tuple[Route, ...], NoDecode, BeforeValidator(_routes)]
SandboxLimits = Annotated[str, AfterValidator(_sandbox_limits)]
ApprovedAbove = Annotated[dict[str, int], NoDecode, BeforeValidator(_approved_above)]
