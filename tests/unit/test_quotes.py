"""What a quantity costs: the field's known answers, and what holds for every price."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.money import AMOUNT_MAX
from payments.catalog.quotes import (
    Graduated,
    Line,
    Model,
    PerUnit,
    Tier,
    Volume,
    lines,
    model_of,
    packages,
    quote,
    total,
)
from payments.payment_errors import InvalidRequest
from tests.support.every import every

# Tiers 1–5 at 7.00, 6–10 at 6.50, 11+ at 6.00 (Stripe, "Set up tiered pricing").
TIERS = (Tier(5, 700, 0), Tier(10, 650, 0), Tier(None, 600, 0))
FLAT = (Tier(5, 700, 100), Tier(10, 0, 50), Tier(None, 600, 0))


def cost(model: Model, quantity: int) -> int:
    return total(lines(model, quantity, "USD"))


def said(model: Model, quantity: int, currency: str = "USD") -> list[tuple[str, int, int, str]]:
    """Type, quantity, amount and reason of each line."""
    made = lines(model, quantity, currency)
    return [(line.type, line.quantity, line.amount, line.reason) for line in made]


@every(
    "quantity, volume, graduated",
    [(1, 700, 700), (5, 3500, 3500), (6, 3900, 4150), (20, 12000, 12750), (25, 15000, 15750)],
)
def test_tiers_cost_what_the_field_says(quantity: int, volume: int, graduated: int) -> None:
    assert cost(Volume(TIERS), quantity) == volume
    assert cost(Graduated(TIERS), quantity) == graduated


@every(
    "quantity, volume, graduated",
    [
        (5, 3600, 3600),
        (6, 50, 3650),  # the second tier is free but for its flat amount
        (10, 50, 3650),
        (11, 6600, 4250),
    ],
)
def test_flat_amounts_come_with_the_tier_that_matches_or_with_all_that_are_reached(
    quantity: int, volume: int, graduated: int
) -> None:
    assert cost(Volume(FLAT), quantity) == volume
    assert cost(Graduated(FLAT), quantity) == graduated


@every(
    "quantity, up, down",
    [(1, 1000, 0), (4, 1000, 0), (5, 1000, 1000), (6, 2000, 1000), (10, 2000, 2000)],
)
def test_packages_are_whole(quantity: int, up: int, down: int) -> None:
    assert cost(PerUnit(1000, 5, "up"), quantity) == up
    assert cost(PerUnit(1000, 5, "down"), quantity) == down


@every(
    "model",
    [PerUnit(700), PerUnit(700, 5, "up"), PerUnit(700, 5, "down"), Graduated(FLAT), Volume(FLAT)],
    ids=lambda model: type(model).__name__,
)
def test_nothing_costs_nothing_not_even_a_flat_amount(model: Model) -> None:
    assert lines(model, 0, "USD") == []
    assert cost(model, 0) == 0


def test_each_line_says_why() -> None:
    assert said(Graduated(TIERS), 6) == [
        ("unit", 5, 3500, "units 1 to 5 at 7.00 USD each"),
        ("unit", 1, 650, "unit 6 at 6.50 USD each"),
    ]
    assert said(Volume(TIERS), 6) == [("unit", 6, 3900, "units 1 to 6 at 6.50 USD each")]
    assert said(Graduated(FLAT), 7, "JPY") == [
        ("unit", 5, 3500, "units 1 to 5 at 700 JPY each"),
        ("flat", 1, 100, "flat amount of units 1 to 5"),
        ("unit", 2, 0, "units 6 to 7 at 0 JPY each"),
        ("flat", 1, 50, "flat amount of units 6 to 7"),
    ]
    assert said(PerUnit(1234), 3, "KWD") == [("unit", 3, 3702, "units 1 to 3 at 1.234 KWD each")]


def test_a_line_of_packages_says_which_way_it_was_rounded() -> None:
    for quantity, way, count, reason in [
        (12, "up", 3, "12 units in packages of 5, rounded up, at 10.00 USD a package"),
        (12, "down", 2, "12 units in packages of 5, rounded down, at 10.00 USD a package"),
        (10, "up", 2, "10 units in packages of 5, at 10.00 USD a package"),
        (1, "down", 0, "1 unit in packages of 5, rounded down, at 10.00 USD a package"),
    ]:
        model = PerUnit(1000, 5, way)  # type: ignore[arg-type]
        assert said(model, quantity) == [("package", count, count * 1000, reason)]


def test_the_unit_amount_of_a_line_is_text_and_its_amount_a_number() -> None:
    (line,) = lines(PerUnit(700), 2, "USD")
    assert line.view() == {
        "type": "unit",
        "quantity": 2,
        "unit_amount": "700",
        "amount": 1400,
        "reason": "units 1 to 2 at 7.00 USD each",
    }


# --- what holds for every price ---

AMOUNTS = st.integers(0, AMOUNT_MAX)
# Around the ends of tiers, and as far out as quantities go: past 10^9, past 32 bits.
QUANTITIES = st.integers(0, 50) | st.integers(0, QUANTITY_MAX)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    ends = draw(
        st.lists(st.integers(1, 40) | st.integers(1, QUANTITY_MAX), unique=True, max_size=6)
    )
    return tuple(Tier(end, draw(AMOUNTS), draw(AMOUNTS)) for end in (*sorted(ends), None))


MODELS = st.one_of(
    st.builds(Graduated, tiers()),
    st.builds(Volume, tiers()),
    st.builds(PerUnit, AMOUNTS),
    st.builds(
        PerUnit,
        AMOUNTS,
        st.integers(1, 10) | st.integers(1, QUANTITY_MAX),
        st.sampled_from(["up", "down"]),
    ),
)


def matching(of: tuple[Tier, ...], quantity: int) -> Tier:
    return next(tier for tier in of if tier.up_to is None or quantity <= tier.up_to)


@given(tiers(), QUANTITIES, QUANTITIES)
def test_more_units_never_cost_less_by_graduated_tiers(
    of: tuple[Tier, ...], one: int, other: int
) -> None:
    fewer, more = sorted((one, other))
    assert cost(Graduated(of), fewer) <= cost(Graduated(of), more)


@given(tiers(), QUANTITIES.filter(bool))
def test_a_volume_costs_what_its_tier_says_of_every_unit(
    of: tuple[Tier, ...], quantity: int
) -> None:
    tier = matching(of, quantity)
    assert cost(Volume(of), quantity) == tier.unit_amount * quantity + tier.flat_amount


@given(tiers(), QUANTITIES.filter(bool))
def test_the_parts_of_a_graduated_quantity_make_up_the_whole(
    of: tuple[Tier, ...], quantity: int
) -> None:
    made = lines(Graduated(of), quantity, "USD")
    assert sum(line.quantity for line in made if line.type == "unit") == quantity
    # Tier by tier, each as if it were alone: from its first unit to its last.
    firsts = [1, *(tier.up_to + 1 for tier in of if tier.up_to is not None)]
    parts = [
        (min(quantity, tier.up_to or quantity) - first + 1) * tier.unit_amount + tier.flat_amount
        for first, tier in zip(firsts, of, strict=True)
        if first <= quantity
    ]
    assert total(made) == sum(parts)


@given(tiers(), QUANTITIES.filter(bool))
def test_a_tier_counts_from_its_first_unit_on(of: tuple[Tier, ...], quantity: int) -> None:
    step = cost(Graduated(of), quantity) - cost(Graduated(of), quantity - 1)
    tier = matching(of, quantity)
    is_first = quantity == 1 or matching(of, quantity - 1) is not tier
    assert step == tier.unit_amount + (tier.flat_amount if is_first else 0)


@given(QUANTITIES, st.integers(1, 10) | st.integers(1, QUANTITY_MAX))
def test_up_and_down_bracket_the_exact_number_of_packages(quantity: int, divide_by: int) -> None:
    down, up = (packages(quantity, divide_by, way) for way in ("down", "up"))
    assert down * divide_by <= quantity <= up * divide_by
    assert up - down == (1 if quantity % divide_by else 0)


@given(MODELS, QUANTITIES)
def test_every_sum_is_whole_and_is_what_its_lines_say(model: Model, quantity: int) -> None:
    made = lines(model, quantity, "USD")
    assert type(total(made)) is int
    assert total(made) == sum(line.view()["amount"] for line in made)
    for line in made:
        assert {type(line.quantity), type(line.unit_amount), type(line.amount)} == {int}
        assert line.amount == line.quantity * line.unit_amount >= 0
        assert line.reason
    assert bool(made) == bool(quantity)


@given(st.integers(1, 1000), st.integers(1, 1000), QUANTITIES)
def test_one_tier_is_the_same_in_both_modes_and_per_unit(
    unit_amount: int, flat: int, quantity: int
) -> None:
    one = (Tier(None, unit_amount, flat),)
    assert lines(Volume(one), quantity, "USD") == lines(Graduated(one), quantity, "USD")
    plain = (Tier(None, unit_amount, 0),)
    assert lines(Volume(plain), quantity, "USD") == lines(PerUnit(unit_amount), quantity, "USD")


# --- from a row of prices ---


def a_row(**columns: Any) -> Any:
    a_price = {"id": "price_1", "currency": "USD", "unit_amount": 700, "transform_quantity": None}
    return SimpleNamespace(**{**a_price, "tiers": None, "tiers_mode": None, **columns})


def test_a_row_says_by_which_model_it_is_sold() -> None:
    stored = [
        {"up_to": 5, "unit_amount": 700, "flat_amount": 0},
        {"up_to": None, "unit_amount": 600, "flat_amount": 1},
    ]
    tiered: dict[str, Any] = {"unit_amount": None, "tiers": stored}
    read = [Tier(5, 700, 0), Tier(None, 600, 1)]
    assert model_of(a_row()) == PerUnit(700)
    assert model_of(a_row(transform_quantity={"divide_by": 5, "round": "down"})) == PerUnit(
        700, 5, "down"
    )
    assert model_of(a_row(**tiered, tiers_mode="volume")) == Volume(read)
    assert model_of(a_row(**tiered, tiers_mode="graduated")) == Graduated(read)


def test_a_quote_of_nothing_is_nothing_and_one_of_too_much_is_refused() -> None:
    nothing = quote(a_row(), 0)
    assert (nothing.amount, nothing.lines, nothing.quantity) == (0, [], 0)
    most = AMOUNT_MAX // 700
    assert quote(a_row(), most).amount == most * 700
    assert quote(a_row(unit_amount=1), 10**9 + 1).amount == 10**9 + 1
    for quantity in (most + 1, QUANTITY_MAX):
        with pytest.raises(InvalidRequest) as refused:
            quote(a_row(), quantity)
        assert refused.value.param == "quantity"
        assert str(AMOUNT_MAX) in str(refused.value)


def test_lines_are_told_apart_by_what_they_are_of() -> None:
    made = lines(Graduated(FLAT), 11, "USD")
    assert [line.type for line in made] == ["unit", "flat", "unit", "flat", "unit"]
    ends = [line.quantity for line in made if line.type == "unit"]
    assert ends == [5, 5, 1]
    assert all(one != other for one, other in pairwise(made))
    assert all(isinstance(line, Line) for line in made)
