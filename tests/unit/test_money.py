"""Whole numbers of minor units, whatever people send."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import billing
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import (
    AMOUNT_MAX,
    WITHDRAWN,
    currency_code,
    exponent,
    is_payable,
    minor,
    minor_amount,
    not_payable,
)
from tests.support.every import every

currencies = st.sampled_from(["JPY", "USD", "KWD", "EUR", "CLP", "BHD"])
amounts = st.integers(1, AMOUNT_MAX)


@every("currency, decimals", [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4)])
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


@every(
    "code", ["", "US", "USDT", "ABC", "XXX", "XAU", "U$D", "ÜSD", "ﬁt", None, 840, ["USD"], b"USD"]
)
def test_what_is_no_currency_is_refused_with_an_example(code: object) -> None:
    with pytest.raises(match="like USD") as refused:
        currency_code(code)
    assert refused.value.param == "currency"


@given(amounts, currencies)
def test_whole_numbers_pass_as_they_are(amount: int, currency: str) -> None:
    assert minor_amount(amount, currency=currency) == amount


@every(
    "value, says",
    [
        (0, "at least 1 minor unit, not 0"),
        (-5, "at least 1 minor unit, not -5"),
        (10**18, "at most 999999999999999"),
        (True, "(an integer), not true"),
        ("19.99", "not '19.99'; for USD 19.99 send amount=1999"),
        ("12", "not '12'; send amount=12 if you mean USD 0.12, or amount=1200 if you mean USD 12"),
        ("0", "(an integer), not '0'"),
        ("1e3", "(an integer), not '1e3'"),
        ("19.999", "(an integer), not '19.999'"),
        (None, "an integer"),
        ([1], "an integer"),
        (5.0, "send amount=5 if you mean USD 0.05, or amount=500 if you mean USD 5"),
        (1999.0, "send amount=1999 if you mean USD 19.99, or amount=199900 if you mean USD 1999"),
        (Decimal("1.999E+3"), "send amount=1999 if you mean USD 19.99, or amount=199900 if"),
        (Decimal(5), "send amount=5 if you mean USD 0.05, or amount=500 if you mean USD 5"),
        (Decimal("1.9990E+1"), "for USD 19.990 send amount=1999"),
        (676770000000.0, "not a decimal; send an integer"),
        (Decimal("1E+999999999"), "the decimal 1E+999999999; send an integer"),
        (Decimal("1E-999999999"), "the decimal 1E-999999999; send an integer"),
        (-5.0, "decimal -5.0; send an integer"),
        (0.0, "decimal 0.0; send an integer"),
        (19.99, "for USD 19.99 send amount=1999"),
        (Decimal("19.99"), "for USD 19.99 send amount=1999"),
        (19.999, "send an integer"),
        (float("nan"), "send an integer"),
        (float("inf"), "send an integer"),
        (1e300, "send an integer"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_fix(value: object, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        minor_amount(value, currency="USD")
    assert says in str(refused.value)
    assert refused.value.param == "amount"


@pytest.mark.parametrize(("currency", "fix"), [("JPY", "amount=5"), ("KWD", "amount=5000")])
def test_the_fix_knows_the_currency(currency: str, fix: str) -> None:
    with pytest.raises(match=fix):
        minor_amount(5.0, currency=currency)


@pytest.mark.parametrize("value", [4111111111111111.0, "4111111111111111", -4111111111111111])
def test_a_card_number_in_the_wrong_field_is_not_repeated(value: object) -> None:
    with pytest.raises(Invalid) as refused:
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
    with pytest.raises(match="decimals"):
        minor(f"{amount}.{decimals}", currency)


@pytest.mark.parametrize("text", ["19.90", "19.9", "19.9000000000000000000000000000000000000"])
def test_zeros_at_the_end_say_nothing(text: str) -> None:
    assert minor(text, "USD") == 1990


@every(
    "text",
    ["", ".5", "5.", "1e3", "1_000", "1,000.00", " 1", "1 ", "NaN", "Infinity", "١٢", "0x10"],
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(match="not a decimal number"):
        minor(text, "USD")


@every("text", ["0", "-1.00", "0.00", "99999999999999.99"])
def test_a_decimal_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(match=r"at (least|most)"):
        minor(text, "USD")


def test_a_number_is_not_text() -> None:
    with pytest.raises(match=r'minor\("19.99", "USD"\)'):
        minor(19.99, "USD")  # type: ignore[arg-type]


# Of today's ISO 4217, with a minor unit, and no money; with what is paid with in its place.
UNITS_OF_ACCOUNT = {
    "BOV": "BOB", "CHE": "CHF", "CHW": "CHF", "CLF": "CLP", "COU": "COP", "MXV": "MXN",
    "USN": "USD", "UYI": "UYU", "UYW": "UYU", "XAD": "the code of the currency",
}  # fmt: skip


@every("code, instead", UNITS_OF_ACCOUNT.items())
def test_nobody_pays_with_a_unit_of_account(code: str, instead: str) -> None:
    assert not is_payable(code)
    assert f"is a unit of account, and nobody pays with it; send {instead}" in not_payable(code)
    assert currency_code(code) == code  # older charges are still read


@every(
    "code",
    ["XAU", "XAG", "XPT", "XPD", "XDR", "XSU", "XUA", "XBA", "XBB", "XBC", "XBD", "XTS", "XXX"],
)
def test_metals_bonds_and_test_codes_are_no_money(code: str) -> None:
    assert not is_payable(code)
    with pytest.raises(Invalid):
        currency_code(code)


def test_every_code_of_no_country_is_either_paid_with_or_known_not_to_be() -> None:
    """Codes that begin with X belong to no single country; one that is new needs a decision."""
    ours = {one.code for one in iso4217.Currency if one.code.startswith("X")}
    assert {code for code in ours if is_payable(code)} == {"XAF", "XCD", "XCG", "XOF", "XPF"}


def test_all_others_of_iso_4217_are_money() -> None:
    with_minor_unit = {one.code for one in iso4217.Currency if one.exponent is not None}
    assert {c for c in with_minor_unit if not is_payable(c)} == {*UNITS_OF_ACCOUNT}


def test_the_decimals_of_every_currency_are_those_of_iso_4217() -> None:
    for one in iso4217.Currency:
        if one.exponent is None:
            with pytest.raises(Invalid):
                exponent(one.code)
        else:
            assert exponent(one.code) == one.exponent
    assert {code: exponent(code) for code in WITHDRAWN} == WITHDRAWN
    assert not any(map(is_payable, WITHDRAWN))


def test_a_currency_that_was_ever_taken_can_be_read_for_ever() -> None:
    """One that leaves ISO 4217, and so the library, must be put under those of the past."""
    known = set(
        (Path(__file__).parents[1] / "contract" / "vectors" / "currencies.txt").read_text().split()
    )
    today = {one.code for one in iso4217.Currency if one.exponent is not None}
    assert today <= known, "new in ISO 4217: add it to vectors/currencies.txt"
    assert known == today | set(WITHDRAWN)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("19.99", "USD", 1999),
        ("19.9", "usd", 1990),
        ("20", "USD", 2000),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("0.01", "EUR", 1),
    ],
)
def test_a_decimal_becomes_minor_units(text, currency, amount):
    assert minor(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19.999", "USD"), ("1.5", "JPY"), ("1.2345", "KWD"), ("0", "USD"), ("-1", "USD"),
        ("", "USD"), ("12,50", "EUR"), ("twelve", "EUR"), ("nan", "USD"), ("inf", "USD"),
        ("1e15", "USD"), ("9" * 14, "USD"), ("9" * 40, "USD"), (19.99, "USD"),
        ("19.99", "QQQ"), ("19.99", None),
    ],
)  # fmt: skip
def test_the_sdk_refuses_in_the_same_words(text: Any, currency: Any) -> None:
    with pytest.raises(Invalid) as rule:
        minor(text, currency)
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.minor(text, currency)
    assert (refused.value.param, str(refused.value)) == (rule.value.param, str(rule.value))


def test_the_sdk_converts_as_the_service_does() -> None:
    assert billing.minor("19.99", "usd") == minor("19.99", "USD") == 1999
    assert billing.minor("19.99", "BGN") == 1999
