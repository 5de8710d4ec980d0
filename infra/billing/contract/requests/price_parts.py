"""The parts of a price, as they are asked for: amounts, tiers, packages, how often, its own name.

Where the field has a rule it is Stripe's: a price recurs at least every three years, a lookup key
has at most 200 characters (docs.stripe.com/api/prices).
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from infra.billing.contract.catalog_names import CURRENCY_PREFIX, check_lookup_key, currency_of
from infra.billing.contract.limits import INTERVALS_MAX, LOOKUP_KEY_MAX
from infra.billing.contract.money import AMOUNT_MAX, is_payable, minor_amount, not_payable
from infra.billing.contract.requests.request_fields import Asked, Quantity, checked, refused
from infra.billing.contract.requests.rules import (
    between,
    bounds,
    characters,
    is_judged,
    lengths,
    rule,
)
from infra.billing.contract.words import Interval, Rounding, UsageType

TIERS_MAX = 100
_DIGITS = re.compile(r"[0-9]{1,30}")
_DECIMAL = re.compile(r"[0-9]{1,30}\.[0-9]{1,30}")


def _lookup_key(value: str) -> None:
    checked(check_lookup_key, value)


def _currency_id(value: str) -> None:
    checked(currency_of, value)


def _payable(value: str) -> None:
    if not is_payable(code := value.removeprefix(CURRENCY_PREFIX).upper()):
        raise refused(not_payable(code))


def digits(value: Any, *, currency: str | None = None) -> Any:
    """Minor units, as digits in text or as a whole number. With the currency, a refusal says what
    to send instead."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = Decimal(value)
    if currency is not None and isinstance(value, float | Decimal):
        return checked(minor_amount, value, currency=currency, param="unit_amount")
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError(
            "digits",
            'must be a whole number of minor units, written as digits: "2000" is 20.00 USD',
        )
    return value


def _up_to(value: Any) -> Any:
    if value is None:  # as Stripe's answers have it; the same request all the same
        return "inf"
    if value == "inf" or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("up_to", 'must be a whole number of units, or "inf" for the last')


LookupKey = Annotated[
    str,
    Field(
        json_schema_extra=lengths(1, LOOKUP_KEY_MAX, pattern=r"^[^\u0000-\u001F\u007F/]*$"),
    ),
    characters(1, LOOKUP_KEY_MAX),
    rule(_lookup_key),
]
# Any currency that there is or was: what lists are narrowed down by.
CurrencyId = Annotated[
    str, Field(json_schema_extra={"pattern": "^cur_[a-z]{3}$"}), rule(_currency_id)
]
# One in which new prices can be.
PayableId = Annotated[CurrencyId, rule(_payable)]
_AMOUNT: dict[str, Any] = {"type": ["string", "integer"], "pattern": "^0*[0-9]{1,15}$"}
UnitAmount = Annotated[
    int,
    Field(json_schema_extra={**_AMOUNT, **bounds(1, AMOUNT_MAX), "examples": ["2000"]}),
    between(1, AMOUNT_MAX),
]
TierAmount = Annotated[
    int,
    Field(json_schema_extra={**_AMOUNT, **bounds(0, AMOUNT_MAX), "examples": ["700"]}),
    between(0, AMOUNT_MAX),
]


class Tier(Asked):
    """What units cost from where the tier before ends, up to and including `up_to`."""

    up_to: Annotated[
        Quantity | Literal["inf"],
        BeforeValidator(_up_to),
    ] = Field(default="inf", description="The last unit of the tier; `inf` for the last tier.")
    unit_amount: TierAmount | None = Field(default=None, description="For each unit.")
    flat_amount: TierAmount | None = Field(
        default=None, description="For the tier as a whole, however many units of it."
    )

    _check = field_validator("unit_amount", "flat_amount", mode="before")(
        lambda cls, value: None if value is None else digits(value)
    )

    def stored(self) -> dict[str, Any]:
        return {
            "up_to": None if self.up_to == "inf" else self.up_to,
            "unit_amount": self.unit_amount or 0,
            "flat_amount": self.flat_amount or 0,
        }


class Recurring(Asked):
    """How often a price recurs."""

    interval: Interval = Field(description="The interval.")
    interval_count: Annotated[int, Field(json_schema_extra={"minimum": 1}), between(1)] = Field(
        default=1, description="The number of intervals between two payments; at most three years."
    )
    usage_type: UsageType = Field(
        default="licensed", description="Whether the quantity is agreed or measured."
    )

    @field_validator("interval_count")
    @classmethod
    def _three_years(cls, value: int, info: ValidationInfo) -> int:
        interval = info.data.get("interval")
        if is_judged(info) and interval is not None and value > INTERVALS_MAX[interval]:
            most = INTERVALS_MAX[interval]
            raise refused(f"recurring.interval_count must be at most {most} for a {interval}")
        return value


class TransformQuantity(Asked):
    """Units are sold in packages: the quantity is divided, and rounded, before it is multiplied."""

    divide_by: Quantity = Field(description="Units in a package.")
    round: Rounding = Field(description="Which way a package that is not full is rounded.")
