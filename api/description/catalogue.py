"""The public objects of products, prices and stock, field by field: as `payments.catalog.views`
makes them, with what each field means."""

from typing import Annotated, Literal

from pydantic import Field

from api.description.fields import ID, METADATA, CurrencyCode, Moment, PublicObject, Quantity
from infra.billing.contract.ids import MADE_PREFIXES
from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.money import AMOUNT_MAX

A_PRODUCT = "prod_57ikdvzo4mb4d7q5l3fdlyhxgmkgxwup"
A_PRICE = "price_s6vnkcnhrfrcaxwxzcg7icbqqlmefiwo"

ProductId = Annotated[str, Field(pattern=f"^{MADE_PREFIXES['product']}{ID}", examples=[A_PRODUCT])]
PriceId = Annotated[str, Field(pattern=f"^{MADE_PREFIXES['price']}{ID}", examples=[A_PRICE])]
CurrencyId = Annotated[str, Field(pattern="^cur_[a-z]{3}$", examples=["cur_usd"])]
UnitAmount = Annotated[str, Field(pattern="^[0-9]{1,15}$", examples=["2000"])]
_LIVEMODE = "Whether the processor was a real one when it was made; the sandbox is none."


class Product(PublicObject):
    """Something that is sold. Its prices say what it costs."""

    id: ProductId
    object: Literal["product"]
    name: str = Field(description="What it is called.", examples=["My SaaS Product"])
    description: str | None = Field(description="For people.", examples=["Everything, for a team."])
    active: bool = Field(
        description="While false, its prices take no new charges, and it gets no new prices.",
        examples=[True],
    )
    livemode: bool = Field(description=_LIVEMODE)
    metadata: dict[str, str] = Field(description=METADATA, examples=[{"shelf": "7"}])
    created_at: Moment
    updated_at: Moment


class Currency(PublicObject):
    """A currency, as ISO 4217 has it."""

    id: CurrencyId
    object: Literal["currency"]
    code: CurrencyCode = Field(description="ISO 4217, upper case.")
    name: str = Field(description="In English.", examples=["US Dollar"])
    decimal: int | None = Field(
        description="How many decimals it has: of USD 2, of JPY 0. Null if ISO has withdrawn it.",
        ge=0,
        examples=[2],
    )


class PriceTier(PublicObject):
    """What units cost from where the tier before ends, up to and including `up_to`."""

    up_to: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] | Literal["inf"] = Field(
        description="The last unit of the tier; `inf` in the last tier.", examples=[5]
    )
    unit_amount: UnitAmount = Field(description="For each unit, in minor units.", examples=["700"])
    flat_amount: UnitAmount = Field(
        description="For the tier as a whole, in minor units.", examples=["0"]
    )


class PriceRecurring(PublicObject):
    """How often a price recurs. It is you who charges by it each time."""

    interval: Literal["hour", "day", "week", "month", "year"] = Field(
        description="The interval.", examples=["month"]
    )
    interval_count: int = Field(description="Every so many intervals.", ge=1, examples=[1])
    usage_type: Literal["licensed", "metered"] = Field(
        description="Whether the quantity is agreed or measured.", examples=["licensed"]
    )


class PricePackages(PublicObject):
    """Units are sold in packages: the quantity is divided and rounded before it is multiplied."""

    divide_by: Quantity = Field(description="Units in a package.", examples=[10])
    round: Literal["up", "down"] = Field(
        description="Which way a package that is not full is rounded.", examples=["up"]
    )


class Price(PublicObject):
    """What a product costs, in one currency and by one model. None of that ever changes."""

    id: PriceId
    object: Literal["price"]
    product_id: ProductId = Field(description="What is sold.")
    nickname: str | None = Field(
        description="What you call it.", examples=["Standard Monthly Plan"]
    )
    active: bool = Field(description="While false, it takes no new charges.", examples=[True])
    livemode: bool = Field(description=_LIVEMODE)
    type: Literal["one_time", "recurring"] = Field(
        description="Whether it recurs.", examples=["recurring"]
    )
    billing_scheme: Literal["per_unit", "tiered"] = Field(
        description="Whether all units cost the same, or `tiers` say.", examples=["per_unit"]
    )
    unit_amount: UnitAmount | None = Field(
        description="What a unit, or a package, costs: minor units, as digits. Null for tiers.",
        examples=["2000"],
    )
    recurring: PriceRecurring | None = Field(description="How often; null for `one_time`.")
    tiers: list[PriceTier] | None = Field(
        description="In the order of their units; null for `per_unit`.", examples=[None]
    )
    tiers_mode: Literal["graduated", "volume"] | None = Field(
        description="`graduated`: each unit costs what its tier says. `volume`: all cost what the"
        " tier of the last one says.",
        examples=[None],
    )
    transform_quantity: PricePackages | None = Field(
        description="When units are sold in packages.", examples=[None]
    )
    currency_id: CurrencyId = Field(description="The id of `currency`.")
    currency_code: CurrencyCode = Field(description="ISO 4217, upper case.")
    lookup_key: str | None = Field(
        description="Your own name for it, which can be moved to another price.",
        examples=["standard_monthly"],
    )
    quantity_available: Annotated[int, Field(ge=0, le=QUANTITY_MAX)] | None = Field(
        description="How many are left; null: without limit.", examples=[50]
    )
    metadata: dict[str, str] = Field(description=METADATA, examples=[{"plan": "gold"}])
    created_at: Moment
    updated_at: Moment
    product: Product = Field(description="What is sold, as it is called now.")
    currency: Currency = Field(description="What it is paid in.")


class QuoteLine(PublicObject):
    """A part of an amount: `quantity` × `unit_amount` = `amount`."""

    type: Literal["unit", "package", "flat"] = Field(
        description="What is counted: units, packages, or a tier's flat amount.", examples=["unit"]
    )
    quantity: Quantity = Field(description="How many of them.", examples=[2])
    unit_amount: UnitAmount = Field(description="What each costs, in minor units.")
    amount: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = Field(
        description="What they come to, in minor units.", examples=[4000]
    )
    reason: str = Field(
        description="Why, in words for people.", examples=["units 1 to 2 at 20.00 USD each"]
    )


class Quote(PublicObject):
    """What a quantity of a price costs. It reserves nothing."""

    object: Literal["quote"]
    price_id: PriceId = Field(description="The price that was asked.")
    quantity: Annotated[int, Field(ge=0, le=QUANTITY_MAX)] = Field(
        description="How many units were asked for.", examples=[2]
    )
    amount: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] = Field(
        description="The sum of the lines, in minor units.", examples=[4000]
    )
    currency: CurrencyCode = Field(description="ISO 4217, upper case.")
    lines: list[QuoteLine] = Field(description="What the amount is made of; of nothing, none.")


class Deleted(PublicObject):
    """What is left of what was deleted."""

    id: str = Field(pattern=f"^(prod|price)_{ID}", examples=[A_PRICE])
    object: Literal["product", "price"] = Field(examples=["price"])
    deleted: Literal[True] = Field(description="For good.")
