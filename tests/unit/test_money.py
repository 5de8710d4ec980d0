"""Whole numbers of minor units, whatever people send."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import (
    AMOUNT_MAX,
    MoneyError,
    currency_code,
    exponent,
    is_payable,
    minor,
    minor_amount,
)

currencies = st.sampled_from(["JPY", "USD", "KWD", "EUR", "CLP", "BHD"])
amounts = st.integers(1, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("currency", "decimals"), [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4)]
)
def test_decimals_are_those_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


@pytest.mark.parametrize(("code", "decimals"), [("BGN", 2), ("BYR", 0), ("HRK", 2)])
def test_a_withdrawn_currency_is_read_and_takes_nothing_new(code: str, decimals: int) -> None:
    assert (currency_code(code.lower()), exponent(code)) == (code, decimals)
    assert not is_payable(code)
    assert minor("5", code) == 5 * 10**decimals


@pytest.mark.parametrize("code", ["usd", "Usd", "USD"])
def test_a_currency_is_taken_in_any_case(code: str) -> None:
    assert currency_code(code) == "USD"


@pytest.mark.parametrize(
    "code", ["", "US", "USDT", "ABC", "XXX", "XAU", "U$D", "ÜSD", "ﬁt", None, 840, ["USD"], b"USD"]
)
def test_what_is_no_currency_is_refused_with_an_example(code: object) -> None:
    with pytest.raises(MoneyError, match="like USD") as refused:
        currency_code(code)
    assert refused.value.param == "currency"


@given(amounts, currencies)
def test_whole_numbers_pass_as_they_are(amount: int, currency: str) -> None:
    assert minor_amount(amount, currency=currency) == amount


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0, "at least 1 minor unit, not 0"),
        (-5, "at least 1 minor unit, not -5"),
        (10**18, "at most 999999999999999"),
        (True, "an integer"),
        ("12", "an integer"),
        (None, "an integer"),
        ([1], "an integer"),
        (5.0, "for USD 5.0 send amount=500"),
        (19.99, "for USD 19.99 send amount=1999"),
        (Decimal("19.99"), "for USD 19.99 send amount=1999"),
        (19.999, "send an integer"),
        (float("nan"), "send an integer"),
        (float("inf"), "send an integer"),
        (1e300, "send an integer"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_fix(value: object, says: str) -> None:
    with pytest.raises(MoneyError) as refused:
        minor_amount(value, currency="USD")
    assert says in str(refused.value)
    assert refused.value.param == "amount"


@pytest.mark.parametrize(("currency", "fix"), [("JPY", "amount=5"), ("KWD", "amount=5000")])
def test_the_fix_knows_the_currency(currency: str, fix: str) -> None:
    with pytest.raises(MoneyError, match=fix):
        minor_amount(5.0, currency=currency)


@pytest.mark.parametrize("value", [4111111111111111.0, "4111111111111111", -4111111111111111])
def test_a_card_number_in_the_wrong_field_is_not_repeated(value: object) -> None:
    with pytest.raises(MoneyError) as refused:
        minor_amount(value, currency="USD")
    assert "4111" not in str(refused.value)


@given(amounts, currencies)
def test_what_is_written_as_a_decimal_is_read_exactly(amount: int, currency: str) -> None:
    text = f"{Decimal(amount).scaleb(-exponent(currency)):f}"
    assert minor(text, currency) == amount


@given(amounts, currencies, st.integers(1, 9), st.integers(0, 60))
def test_too_many_decimals_are_an_error_however_small_they_are(
    amount: int, currency: str, digit: int, zeros: int
) -> None:
    decimals = "0" * exponent(currency) + "0" * zeros + str(digit)
    with pytest.raises(MoneyError, match="decimals"):
        minor(f"{amount}.{decimals}", currency)


@pytest.mark.parametrize("text", ["19.90", "19.9", "19.9000000000000000000000000000000000000"])
def test_zeros_at_the_end_say_nothing(text: str) -> None:
    assert minor(text, "USD") == 1990


@pytest.mark.parametrize(
    "text",
    ["", ".5", "5.", "1e3", "1_000", "1,000.00", " 1", "1 ", "NaN", "Infinity", "١٢", "0x10"],
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(MoneyError, match="not a decimal number"):
        minor(text, "USD")


@pytest.mark.parametrize("text", ["0", "-1.00", "0.00", "99999999999999.99"])
def test_a_decimal_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(MoneyError, match=r"at (least|most)"):
        minor(text, "USD")


def test_a_number_is_not_text() -> None:
    with pytest.raises(MoneyError, match=r'minor\("19.99", "USD"\)'):
        minor(19.99, "USD")  # type: ignore[arg-type]
