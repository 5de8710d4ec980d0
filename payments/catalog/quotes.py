"""What a quantity costs, and why: pure functions, in whole minor units.

Only `transform_quantity` rounds: units into packages, up or down. A tier counts once the quantity
reaches its first unit, so a quantity of 0 reaches no tier and costs nothing.

Sources: Stripe, "Set up tiered pricing" and "Transform quantities" (docs.stripe.com/billing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.billing.contract import objects
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.words import LineType, Rounding
from models.rows import PriceRow
from payments.amounts import in_words
from payments.payment_errors import InvalidRequest
from payments.views import view_of_value


@dataclass(frozen=True, slots=True)
class Tier:
    """The units up to and including `up_to` (None = without end), from the end of the previous
    tier."""

    up_to: int | None
    unit_amount: int
    flat_amount: int


@dataclass(frozen=True, slots=True)
class PerUnit:
    """Each unit, or each package of `divide_by` units, costs `unit_amount`."""

    unit_amount: int
    divide_by: int | None = None
    round: Rounding = "up"


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each unit costs what its own tier says; the flat amounts of all tiers reached are added.

    `tiers` are in ascending order, and the last has no end.
    """

    tiers: Sequence[Tier]


@dataclass(frozen=True, slots=True)
class Volume:
    """All units cost what the tier of the last unit says; its flat amount is added."""

    tiers: Sequence[Tier]


Model = PerUnit | Graduated | Volume


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` = `quantity` × `unit_amount`, and the reason in words."""

    type: LineType
    quantity: int
    unit_amount: int
    reason: str

    @property
    def amount(self) -> int:
        return self.quantity * self.unit_amount

    def view(self) -> dict[str, Any]:
        """The line for programs. Unit amounts are text everywhere, as in the price."""
        return _line_view(self)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is charged: as requested, or as the price says. `lines` are kept with the charge, even
    if the price is deleted."""

    amount: int
    currency: str
    price_id: str | None = None
    quantity: int | None = None
    lines: Sequence[dict[str, Any]] | None = None


def quote(price: PriceRow, quantity: int) -> Terms:
    """The cost of `quantity` units of a price, 0 or more. Raises InvalidRequest if it is too
    much."""
    made = lines(model_of(price), quantity, price.currency)
    amount = total(made)
    if amount > AMOUNT_MAX:
        raise InvalidRequest(
            f"quantity: it would come to more than {AMOUNT_MAX} minor units; ask for less",
            param="quantity",
        )
    views = [line.view() for line in made]
    return Terms(amount, price.currency, price.id, quantity, views)


def model_of(row: PriceRow) -> Model:
    """The model of a row of `prices`."""
    if row.unit_amount is not None:
        packages = row.transform_quantity or {}
        return PerUnit(row.unit_amount, packages.get("divide_by"), packages.get("round", "up"))
    tiers = [Tier(one["up_to"], one["unit_amount"], one["flat_amount"]) for one in row.tiers or ()]
    return Graduated(tiers) if row.tiers_mode == "graduated" else Volume(tiers)


def lines(model: Model, quantity: int, currency: str) -> list[Line]:
    """The lines of the amount for a quantity (0 or more); there are none for 0."""
    if quantity == 0:
        return []
    match model:
        case PerUnit(unit_amount, None):
            return _of_tier(Tier(None, unit_amount, 0), 1, quantity, currency)
        case PerUnit():
            return [_packages(model, quantity, currency)]
        case Graduated(tiers):
            return _graduated(tiers, quantity, currency)
        case Volume(tiers):
            return _volume(tiers, quantity, currency)


def total(of: Sequence[Line]) -> int:
    """The sum of the lines."""
    return sum(line.amount for line in of)


def packages(quantity: int, divide_by: int, way: str) -> int:
    """How many packages of `divide_by` units that makes, rounded up or down to whole ones by
    `way`."""
    return -(-quantity // divide_by) if way == "up" else quantity // divide_by


def _packages(model: PerUnit, quantity: int, currency: str) -> Line:
    divide_by, way = model.divide_by or 1, model.round
    count, each = packages(quantity, divide_by, way), in_words(model.unit_amount, currency)
    rounded = "" if quantity % divide_by == 0 else f", rounded {way}"
    units = "1 unit" if quantity == 1 else f"{quantity} units"
    reason = f"{units} in packages of {divide_by}{rounded}, at {each} a package"
    return Line("package", count, model.unit_amount, reason)


def _graduated(tiers: Sequence[Tier], quantity: int, currency: str) -> list[Line]:
    made: list[Line] = []
    first = 1
    for tier in tiers:
        if first > quantity:
            break
        last = quantity if tier.up_to is None else min(quantity, tier.up_to)
        made += _of_tier(tier, first, last, currency)
        first = last + 1
    return made


def _volume(tiers: Sequence[Tier], quantity: int, currency: str) -> list[Line]:
    tier = next(one for one in tiers if one.up_to is None or quantity <= one.up_to)
    return _of_tier(tier, 1, quantity, currency)


def _of_tier(tier: Tier, first: int, last: int, currency: str) -> list[Line]:
    units, each = _units(first, last), in_words(tier.unit_amount, currency)
    made = [Line("unit", last - first + 1, tier.unit_amount, f"{units} at {each} each")]
    if tier.flat_amount:
        made.append(Line("flat", 1, tier.flat_amount, f"flat amount of {units}"))
    return made


def _units(first: int, last: int) -> str:
    return f"unit {first}" if first == last else f"units {first} to {last}"


_line_view = view_of_value(objects.Line, unit_amount=lambda line: str(line.unit_amount))
