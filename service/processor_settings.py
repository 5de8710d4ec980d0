"""The settings of processors: which there are, their routes, and the sandbox's limits."""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

from payments.processors.processor_limits import MoneyLimit
from payments.processors.routing import Route

# The processors that come with the service, by name: a function that makes one from the settings.
# Packages bring others as entry points of this group, which name such a function in the same way.
BUILT_IN = {"sandbox": "service.wiring:sandbox", "stripe": "service.wiring:stripe"}
ENTRY_POINTS = "billing.processors"
# A currency, the minimum, the maximum and the multiple that the sandbox accepts.
SANDBOX_LIMIT = re.compile(r"([A-Z]{3}):([0-9]{1,15})-([0-9]{1,15})(?:/([0-9]{1,9}))?")
SECONDS = "a whole number of seconds from 1"
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
    Raises KeyError if there is none, or if several packages bring one of this name."""
    if name in BUILT_IN:
        return EntryPoint(name, BUILT_IN[name], ENTRY_POINTS)
    brought = tuple(entry_points(group=ENTRY_POINTS, name=name))
    if len(brought) != 1:
        raise KeyError(name)
    return brought[0]


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


class ProcessorSettings(BaseSettings):
    """Which processors there are, which charges go to each, and how the sandbox behaves."""

    # The payment processors in use. The sandbox moves no real money: the only safe default.
    # When new charges move to another processor, keep the old name in the list until its last
    # refund: a row goes only to the processor that it names.
    processors: ProcessorNames = Field(
        default=("sandbox",),
        description="names of processors separated by commas: sandbox, stripe, or what a package"
        f" brings as an entry point of {ENTRY_POINTS}",
    )
    # Which of them gets new charges. Unset, the first in the list.
    processor: str = Field(
        default="", description="the name of one of BILLING_PROCESSORS: where new charges go"
    )
    # Which new charges go to another one, by their currency, their producer, or their payment
    # method. The first route that fits counts. None: all go to BILLING_PROCESSOR.
    processor_routes: ProcessorRoutes = Field(
        default=(),
        description="routes separated by commas, such as stripe:currency=EUR,"
        "sandbox:producer=load-test:method=pm_card_*: one of BILLING_PROCESSORS and what charges"
        " go there (currency, producer, method; * stands for any end)",
    )
    # How long each call to the sandbox takes. None, unless you want to see a slow processor.
    sandbox_latency_ms: int = Field(
        default=0, ge=0, le=60_000, description="a whole number of milliseconds from 0 to 60000"
    )
    # How long to wait for the sandbox's lost answers. Longer than a real answer of a local sandbox,
    # and short enough to watch a timeout happen.
    sandbox_timeout_ms: int = Field(
        default=1_000, ge=1, le=60_000, description="a whole number of milliseconds from 1 to 60000"
    )
    # How long the sandbox remembers idempotency keys. A day, as Stripe does at least.
    sandbox_key_window_s: int = Field(default=86_400, ge=1, le=31_536_000, description=SECONDS)
    # Which amounts and currencies the sandbox accepts, so that you meet a processor's limits early.
    # Unset, any amount of any currency.
    sandbox_limits: SandboxLimits = Field(
        default="",
        pattern=f"^({SANDBOX_LIMIT.pattern}(,{SANDBOX_LIMIT.pattern})*)?$",
        description="what the sandbox takes, such as USD:50-99999999,KWD:50-99999990/10: currencies"
        " with the least and the most minor units of a charge, and what they are a multiple of",
    )
