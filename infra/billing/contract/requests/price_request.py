"""A price, as it is asked for, and what may change of it.

Where the field has a rule it is Stripe's: tiers rise and the last is open, `transform_quantity`
goes with `per_unit` only (docs.stripe.com/api/prices).
"""

from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from infra.billing.contract.catalog_names import CURRENCY_PREFIX
from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.price_parts import (
    TIERS_MAX,
    LookupKey,
    PayableId,
    Recurring,
    Tier,
    TransformQuantity,
    UnitAmount,
    digits,
)
from infra.billing.contract.requests.request_fields import (
    Changes,
    LongText,
    ProductId,
    Request,
    Stock,
    refused,
)
from infra.billing.contract.requests.rules import at_most, is_judged
from infra.billing.contract.words import BillingScheme, PriceType, TiersMode


class PriceRequest(Request):
    """What a product costs, in one currency and by one model. None of it ever changes."""

    product_id: ProductId = Field(description="What is sold.")
    currency_id: PayableId = Field(
        description="`cur_` and the ISO 4217 code in lower case.", examples=["cur_usd"]
    )
    recurring: Recurring | None = Field(
        default=None, description="How often, for a price of type `recurring`."
    )
    type: PriceType | None = Field(
        default=None,
        validate_default=True,
        description="`recurring` if it says how often, else `one_time`.",
    )
    tiers: (
        Annotated[
            list[Tier],
            Field(min_length=1, json_schema_extra={"maxItems": TIERS_MAX}),
            at_most(TIERS_MAX),
        ]
        | None
    ) = Field(
        default=None, description="What units cost when there are many, for a `tiered` price."
    )
    tiers_mode: TiersMode | None = Field(
        default=None,
        validate_default=True,
        description="`graduated`: each unit costs what its tier says. `volume`: all units cost what"
        " the tier of the last one says.",
    )
    billing_scheme: BillingScheme | None = Field(
        default=None,
        validate_default=True,
        description="`tiered` if it has tiers, else `per_unit`.",
    )
    unit_amount: UnitAmount | None = Field(
        default=None,
        validate_default=True,
        description="What a unit costs, in minor units, as digits: `2000` is 20.00 USD. Required"
        " unless there are tiers.",
    )
    transform_quantity: TransformQuantity | None = Field(
        default=None, description="Units are sold in packages; with `per_unit` only."
    )
    nickname: LongText | None = Field(
        default=None,
        description="What you call it; customers don't see it.",
        examples=["Standard Monthly Plan"],
    )
    active: bool = Field(default=True, description="Whether it takes new charges.")
    lookup_key: LookupKey | None = Field(
        default=None,
        description="Your own name for it, which can be moved from price to price.",
        examples=["standard_monthly"],
    )
    transfer_lookup_key: bool = Field(
        default=False, description="Take the lookup key from the price that has it."
    )
    quantity_available: Stock | None = Field(
        default=None, description="How many there are to begin with. Absent: without limit."
    )

    @cached_property
    def id(self) -> str:
        return id_from_key("price", producer=self.producer, key=self.idempotency_key)

    @property
    def currency(self) -> str:
        """ISO 4217, upper case."""
        return self.currency_id.removeprefix(CURRENCY_PREFIX).upper()

    @field_validator("type", mode="before")
    @classmethod
    def _type(cls, value: Any, info: ValidationInfo) -> Any:
        recurs = info.data.get("recurring") is not None
        if value == "recurring" and not recurs:
            raise refused('recurring is required for this type: {"interval": "month"}')
        if value == "one_time" and recurs:
            raise refused("type one_time recurs never; leave recurring out, or send type recurring")
        if value is None:
            return "recurring" if recurs else "one_time"
        return value

    @field_validator("tiers")
    @classmethod
    def _tiers(cls, value: list[Tier] | None, info: ValidationInfo) -> list[Tier] | None:
        if value is None or not is_judged(info):
            return value
        ends = [one.stored()["up_to"] for one in value]
        if ends[-1] is not None:
            raise refused('the last of the tiers must be open: up_to must be "inf"')
        if None in ends[:-1]:
            raise refused("only the last of the tiers may be open: the others need a number, up_to")
        if any(after <= before for before, after in pairwise(ends[:-1])):
            raise refused("tiers must rise: each up_to must be greater than the one before")
        if any(one.unit_amount is None and one.flat_amount is None for one in value):
            raise refused("each of the tiers needs a unit_amount, a flat_amount, or both")
        if not any(one.unit_amount or one.flat_amount for one in value):
            raise refused("tiers must not all be free: nothing could be charged by them")
        return value

    @field_validator("tiers_mode", mode="before")
    @classmethod
    def _tiers_mode(cls, value: Any, info: ValidationInfo) -> Any:
        return _both_or_neither("tiers_mode", value, "tiers", info)

    @field_validator("billing_scheme", mode="before")
    @classmethod
    def _billing_scheme(cls, value: Any, info: ValidationInfo) -> Any:
        has_tiers = info.data.get("tiers") is not None
        if value == "tiered" and not has_tiers:
            raise refused("tiers are required for billing_scheme tiered")
        if value == "per_unit" and has_tiers:
            raise refused("tiers go with billing_scheme tiered; leave one of them out")
        if value is None:
            return "tiered" if has_tiers else "per_unit"
        return value

    @field_validator("unit_amount", mode="before")
    @classmethod
    def _unit_amount(cls, value: Any, info: ValidationInfo) -> Any:
        scheme = info.data.get("billing_scheme")
        if value is None and scheme == "per_unit":
            raise refused("unit_amount is required, unless there are tiers")
        if value is not None and scheme == "tiered":
            raise refused("unit_amount is what the tiers say; leave it out")
        currency = info.data.get("currency_id", "").removeprefix(CURRENCY_PREFIX).upper() or None
        return None if value is None else digits(value, currency=currency)

    @field_validator("transform_quantity")
    @classmethod
    def _per_unit_only(
        cls, value: TransformQuantity | None, info: ValidationInfo
    ) -> TransformQuantity | None:
        if value is not None and info.data.get("billing_scheme") == "tiered":
            raise refused("transform_quantity goes with billing_scheme per_unit, not with tiers")
        return value

    @field_validator("transfer_lookup_key")
    @classmethod
    def _of_a_key(cls, value: bool, info: ValidationInfo) -> bool:
        return _with_a_key(value, info)


class PriceChanges(Changes):
    """What may change of a price."""

    nickname: LongText | None = Field(default=None, description="What you call it.")
    lookup_key: LookupKey | None = Field(default=None, description="Your own name for it.")
    transfer_lookup_key: bool = Field(
        default=False, description="Take the lookup key from the price that has it."
    )

    @field_validator("transfer_lookup_key")
    @classmethod
    def _of_a_key(cls, value: bool, info: ValidationInfo) -> bool:
        return _with_a_key(value, info)


def _both_or_neither(name: str, value: Any, other: str, info: ValidationInfo) -> Any:
    has_other = info.data.get(other) is not None
    if value is None and has_other:
        raise refused(f"{name} is required with {other}: graduated or volume")
    if value is not None and not has_other and other in info.data:
        raise refused(f"{name} goes with {other}; send both")
    return value


def _with_a_key(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("lookup_key") is None and "lookup_key" in info.data:
        raise refused("transfer_lookup_key needs the lookup_key that is to move")
    return value
