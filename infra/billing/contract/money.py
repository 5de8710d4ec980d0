"""Money: whole numbers of minor units with an ISO 4217 currency beside them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, TypeGuard

from infra.billing.contract.invalid import Invalid

# JSON numbers stay exact in every language up to 2^53; fifteen digits leave room for sums.
AMOUNT_MAX = 999_999_999_999_999
# Longer values stay out of error texts, as someone will send a card number as an amount.
SHOWN_MAX = 14
CARD_DIGITS_MIN = 12
_CODE = re.compile(r"[A-Za-z]{3}")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,30})(?:\.([0-9]+))?")

# Currencies that ISO 4217 has withdrawn since 2008, with the decimals they had (list three of the
# standard names them; six-group.com/en/products-services/financial-information/data-standards).
# They can't be used for anything new, but existing objects can still be read, listed, repeated and
# refunded.
WITHDRAWN: Mapping[str, int] = {
    "ANG": 2, "BGN": 2, "BYR": 0, "CUC": 2, "CYP": 2, "EEK": 2, "GHC": 2, "HRK": 2, "LTL": 2,
    "LVL": 2, "MRO": 2, "MTL": 2, "SKK": 2, "SLL": 2, "STD": 2, "TMM": 2, "VEB": 2, "VEF": 2,
    "ZMK": 2, "ZWD": 2, "ZWL": 2, "ZWR": 2,
}  # fmt: skip


# Units of account without a flag in ISO's table. (Those with one are funds codes: CHE, MXV, …) UYW,
# Uruguay's Unidad Previsional, is an index in which pensions are counted; XAD, the Arab Accounting
# Dinar, is the unit in which the Arab Monetary Fund keeps its books.
UNITS_OF_ACCOUNT = frozenset({"UYW", "XAD"})


@cache
def exponent(currency: str) -> int:
    """How many decimals an ISO 4217 currency has or had: JPY 0, USD 2, KWD 3. Upper case.

    Withdrawn currencies are included: `is_payable` tells them apart. Raises Invalid for codes that
    aren't a currency (unknown, or like XAU without a minor unit).
    """
    decimals = current_exponent(currency)
    if decimals is None:
        decimals = WITHDRAWN.get(currency)
    if decimals is None:
        raise Invalid(
            f"{shown(currency)} is not an ISO 4217 currency; send a three-letter code like USD",
            param="currency",
        )
    return decimals


def current_exponent(currency: str) -> int | None:
    """How many decimals a currency has in today's ISO 4217; None if it is not in it."""
    try:
        decimals: int | None = _iso().Currency(currency).exponent
    except ValueError:
        return None
    return decimals


@cache
def is_payable(currency: str) -> bool:
    """Whether a new request may use this currency (upper case) today, that is, whether it is money.
    Metals, bonds and test codes have no minor unit in ISO 4217; funds codes and units of account
    are not money."""
    return current_exponent(currency) is not None and not is_unit_of_account(currency)


def is_unit_of_account(currency: str) -> bool:
    """Whether the code is only for counting amounts, and not for payments."""
    return currency in UNITS_OF_ACCOUNT or currency in _funds()


def _iso() -> Any:
    """The library, which reads its tables when it is imported: not for receivers of webhooks."""
    import iso4217

    return iso4217


@cache
def _funds() -> frozenset[str]:
    """The funds codes of ISO 4217."""
    flagged = _iso().raw_xml.iterfind("CcyTbl/CcyNtry/CcyNm[@IsFund='true']/..")
    return frozenset(entry.findtext("Ccy", "") for entry in flagged)


@cache
def _paid_with_beside(currency: str) -> str | None:
    """The money of the country that a unit of account belongs to: CHF for CHE."""
    table = _iso().Currency
    countries = table(currency).country_names
    beside = [one.code for one in table if is_payable(one.code) and one.country_names & countries]
    return beside[0] if len(beside) == 1 else None


def not_payable(currency: str) -> str:
    """A refusal's text about a currency that is not `is_payable`."""
    if is_unit_of_account(currency):
        name = _iso().Currency(currency).currency_name
        fix = _paid_with_beside(currency) or "the code of the currency that is to be moved"
        return f"{currency} ({name}) is a unit of account, and nobody pays with it; send {fix}"
    return (
        f"{currency} is no longer a currency of ISO 4217: nothing new can be asked for in it;"
        " send the code of the currency that took its place"
    )


def currency_code(value: object) -> str:
    """The currency in upper case (`usd` → `USD`); raises Invalid. Withdrawn ones are accepted,
    too."""
    if not is_currency_code(value):
        raise Invalid(
            f"currency must be a three-letter ISO 4217 code like USD, not {shown(value)}",
            param="currency",
        )
    code = value.upper()
    exponent(code)
    return code


def is_currency_code(value: object) -> TypeGuard[str]:
    """Whether it has the form of an ISO 4217 currency, in any case."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def minor_amount(value: object, *, currency: str | None = None, param: str = "amount") -> int:
    """`value` as a whole positive number of minor units; raises Invalid, which says what to send.

    Floats are refused, even 5.0, which may mean five cents or five dollars.
    """
    if isinstance(value, (float, Decimal)):
        raise Invalid(_not_decimal(value, currency, param), param=param)
    if isinstance(value, bool) or not isinstance(value, int):
        fix = _fix_of_text(value, currency, param)
        raise Invalid(
            f"{param} must be a whole number of minor units (an integer), not {shown(value)}{fix}",
            param=param,
        )
    if value <= 0:
        raise Invalid(f"{param} must be at least 1 minor unit, not {shown(value)}", param=param)
    if value > AMOUNT_MAX:
        raise Invalid(f"{param} must be at most {AMOUNT_MAX} minor units", param=param)
    return value


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal written as text: `minor("19.99", "USD")` → 1999.

    Too many decimals are an error, never a rounding.
    """
    code = currency_code(currency)
    if not isinstance(text, str):
        raise Invalid(f'write the amount as text, as in minor("19.99", "{code}")', param="amount")
    parts = _DECIMAL.fullmatch(text)
    if parts is None:
        raise Invalid(f'{shown(text)} is not a decimal number like "19.99"', param="amount")
    sign, whole, decimals = parts[1], parts[2], (parts[3] or "").rstrip("0")
    places = exponent(code)
    if len(decimals) > places:
        raise Invalid(f"{code} has {places} decimals; {shown(text)} has more", param="amount")
    return minor_amount(int(sign + whole + decimals.ljust(places, "0")), currency=code)


def _not_decimal(value: float | Decimal, currency: str | None, param: str) -> str:
    """A refusal's text about a decimal, and what to send instead."""
    text = str(value)
    if len(text) > SHOWN_MAX or sum(c.isdigit() for c in text) >= CARD_DIGITS_MIN:
        return f"{param} must be a whole number of minor units, not a decimal; send an integer"
    fix = "send an integer"
    try:
        fix = _fix(Decimal(text), currency_code(currency), param)
    except Invalid:
        pass  # No currency, or too many decimals: give the general advice.
    return f"{param} must be a whole number of minor units, not the decimal {text}; {fix}"


def _fix_of_text(value: object, currency: str | None, param: str) -> str:
    """The same for a number that is written as text, after a semicolon; "" for anything else."""
    if not isinstance(value, str) or len(value) > SHOWN_MAX or not _DECIMAL.fullmatch(value):
        return ""
    if sum(c.isdigit() for c in value) >= CARD_DIGITS_MIN:
        return ""
    try:
        return f"; {_fix(Decimal(value), currency_code(currency), param)}"
    except Invalid:
        return ""


def _fix(number: Decimal, code: str, param: str) -> str:
    """What to send instead. A decimal with a fraction has only one reading; `5.0` may mean five of
    the currency or five of its smallest unit, so both are given. Raises Invalid if a reading is not
    an amount of the currency."""
    # `1e999999999` is short, but written out it fills the memory.
    if not number.is_finite() or abs(number.adjusted()) > SHOWN_MAX:
        raise Invalid("no amount", param=param)
    plain = f"{number:f}"
    as_major = minor(plain, code)
    if number != number.to_integral_value():
        return f"for {code} {plain} send {param}={as_major}"
    as_minor = minor_amount(int(number), currency=code)
    if as_minor == as_major:
        return f"send {param}={as_minor}"
    places = exponent(code)
    small = f"{Decimal(as_minor).scaleb(-places):.{places}f}"
    return (
        f"send {param}={as_minor} if you mean {code} {small},"
        f" or {param}={as_major} if you mean {code} {int(number)}"
    )


def shown(value: object) -> str:
    """A value in the form for error texts."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    # A short text may still be an address, or a card number: the shortest have twelve digits.
    is_harmless = "@" not in text and sum(c.isdigit() for c in text) < CARD_DIGITS_MIN
    if len(text) <= SHOWN_MAX and is_harmless:
        return text
    return f"{type(value).__name__} of {len(text)} characters"
