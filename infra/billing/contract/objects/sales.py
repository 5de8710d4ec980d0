"""What is sold and what it costs, field by field: products, prices, currencies, quotes."""

from typing import Annotated, Literal

from infra.billing.contract.ids import ID_PATTERN, MADE_PREFIXES
from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.objects.object_fields import (
    CurrencyCode,
    Metadata,
    Moment,
    Quantity,
    Shown,
    Sum,
    UnitAmount,
    id_pattern,
)
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.words import (
    BillingScheme,
    Interval,
    LineType,
    PriceType,
    Rounding,
    TiersMode,
    UsageType,
)

A_PRODUCT = "prod_57ikdvzo4mb4d7q5l3fdlyhxgmkgxwup"
A_PRICE = "price_s6vnkcnhrfrcaxwxzcg7icbqqlmefiwo"

_ProductId = Annotated[str, Shown(pattern=id_pattern(MADE_PREFIXES["product"]), example=A_PRODUCT)]
_PriceId = Annotated[str, Shown(pattern=id_pattern(MADE_PREFIXES["price"]), example=A_PRICE)]
_CurrencyId = Annotated[str, Shown(pattern="^cur_[a-z]{3}$", example="cur_usd")]
_Livemode = Annotated[
    bool, Shown("Whether the processor was a real one when it was made; the sandbox is none.")
]


class Product(Resource):
    """Something that is sold. Its prices say what it costs."""

    __slots__ = ()
    _shown = ("id", "name", "active")

    id: _ProductId
    object: Literal["product"]
    name: Annotated[str, Shown("What it is called.", example="My SaaS Product")]
    description: Annotated[str | None, Shown("For people.", example="Everything, for a team.")]
    active: Annotated[
        bool,
        Shown(
            "While false, its prices take no new charges, and it gets no new prices.",
            example=True,
        ),
    ]
    livemode: _Livemode
    metadata: Annotated[Metadata, Shown(example={"shelf": "7"})]
    created_at: Moment
    updated_at: Moment


class Currency(Resource):
    """A currency, as ISO 4217 has it."""

    __slots__ = ()
    _shown = ("id", "name", "decimal")

    id: _CurrencyId
    object: Literal["currency"]
    code: Annotated[CurrencyCode, Shown("ISO 4217, upper case.")]
    name: Annotated[str, Shown("In English.", example="US Dollar")]
    decimal: Annotated[
        int | None,
        Shown(
            "How many decimals it has: of USD 2, of JPY 0. Null if ISO has withdrawn it.",
            ge=0,
            example=2,
        ),
    ]


class PriceTier(Resource):
    """What units cost from where the tier before ends, up to and including `up_to`."""

    __slots__ = ()

    up_to: Annotated[
        Quantity | Literal["inf"],
        Shown("The last unit of the tier; `inf` in the last tier.", example=5),
    ]
    unit_amount: Annotated[UnitAmount, Shown("For each unit, in minor units.", example="700")]
    flat_amount: Annotated[
        UnitAmount, Shown("For the tier as a whole, in minor units.", example="0")
    ]


class PriceRecurring(Resource):
    """How often a price recurs. It is you who charges by it each time."""

    __slots__ = ()

    interval: Annotated[Interval, Shown("The interval.", example="month")]
    interval_count: Annotated[
        int, Shown("The number of intervals between two payments.", ge=1, example=1)
    ]
    usage_type: Annotated[
        UsageType,
        Shown("Whether the quantity is agreed or measured.", example="licensed"),
    ]


class PricePackages(Resource):
    """Units are sold in packages: the quantity is divided and rounded before it is multiplied."""

    __slots__ = ()

    divide_by: Annotated[Quantity, Shown("Units in a package.", example=10)]
    round: Annotated[
        Rounding,
        Shown("Which way a package that is not full is rounded.", example="up"),
    ]


class Price(Resource):
    """What a product costs, in one currency and by one model. None of that ever changes."""

    __slots__ = ()
    _shown = ("id", "lookup_key", "unit_amount", "currency_code", "quantity_available")

    id: _PriceId
    object: Literal["price"]
    product_id: Annotated[_ProductId, Shown("What is sold.")]
    nickname: Annotated[str | None, Shown("What you call it.", example="Standard Monthly Plan")]
    active: Annotated[bool, Shown("While false, it takes no new charges.", example=True)]
    livemode: _Livemode
    type: Annotated[PriceType, Shown("Whether it recurs.", example="recurring")]
    billing_scheme: Annotated[
        BillingScheme,
        Shown("Whether all units cost the same, or `tiers` say.", example="per_unit"),
    ]
    unit_amount: Annotated[
        UnitAmount | None,
        Shown(
            "What a unit, or a package, costs: minor units, as digits. Null for tiers.",
            example="2000",
        ),
    ]
    recurring: Annotated[PriceRecurring | None, Shown("How often; null for `one_time`.")]
    tiers: Annotated[
        list[PriceTier] | None,
        Shown("In the order of their units; null for `per_unit`.", example=None),
    ]
    tiers_mode: Annotated[
        TiersMode | None,
        Shown(
            "`graduated`: each unit costs what its tier says. `volume`: all cost what the tier of"
            " the last one says.",
            example=None,
        ),
    ]
    transform_quantity: Annotated[
        PricePackages | None, Shown("When units are sold in packages.", example=None)
    ]
    currency_id: Annotated[_CurrencyId, Shown("The id of `currency`.")]
    currency_code: Annotated[CurrencyCode, Shown("ISO 4217, upper case.")]
    lookup_key: Annotated[
        str | None,
        Shown(
            "Your own name for it, which can be moved to another price.",
            example="standard_monthly",
        ),
    ]
    quantity_available: Annotated[
        Annotated[int, Shown(ge=0, le=QUANTITY_MAX)] | None,
        Shown("How many are left; null: without limit.", example=50),
    ]
    metadata: Annotated[Metadata, Shown(example={"plan": "gold"})]
    created_at: Moment
    updated_at: Moment
    product: Annotated[Product, Shown("What is sold, as it is called now.")]
    currency: Annotated[Currency, Shown("What it is paid in.")]


class Line(Resource):
    """A part of an amount: `quantity` × `unit_amount` = `amount`."""

    __slots__ = ()
    _shown = ("type", "quantity", "unit_amount", "amount")

    type: Annotated[
        LineType,
        Shown("What is counted: units, packages, or a tier's flat amount.", example="unit"),
    ]
    quantity: Annotated[Quantity, Shown("How many of them.", example=2)]
    unit_amount: Annotated[UnitAmount, Shown("What each costs, in minor units.")]
    amount: Annotated[Sum, Shown("What they come to, in minor units.", example=4000)]
    reason: Annotated[
        str, Shown("Why, in words for people.", example="units 1 to 2 at 20.00 USD each")
    ]


class Quote(Resource):
    """What a quantity of a price costs. It reserves nothing."""

    __slots__ = ()
    _shown = ("price_id", "quantity", "amount", "currency")

    object: Literal["quote"]
    price_id: Annotated[_PriceId, Shown("The price that was asked.")]
    quantity: Annotated[
        int, Shown("How many units were asked for.", ge=0, le=QUANTITY_MAX, example=2)
    ]
    amount: Annotated[Sum, Shown("The sum of the lines, in minor units.", example=4000)]
    currency: Annotated[CurrencyCode, Shown("ISO 4217, upper case.")]
    lines: Annotated[list[Line], Shown("What the amount is made of; of nothing, none.")]


class Deleted(Resource):
    """What is left of what was deleted."""

    __slots__ = ()

    id: Annotated[str, Shown(pattern=f"^(prod|price)_{ID_PATTERN}$", example=A_PRICE)]
    object: Annotated[Literal["product", "price"], Shown(example="price")]
    deleted: Annotated[Literal[True], Shown("For good.")]
