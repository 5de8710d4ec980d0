"""Money: whole numbers of minor units with an ISO 4217 currency beside them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache

from infra.billing.errors import InvalidRequest

# JSON numbers stay exact in every language up to 2^53; fifteen digits leave room for sums.
AMOUNT_MAX = 999_999_999_999_999
# Longer values stay out of error texts: somebody will send a card number as an amount.
SHOWN_MAX = 14
CARD_DIGITS_MIN = 12
_CODE = re.compile(r"[A-Za-z]{3}")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,30})(?:\.([0-9]+))?")

# Currencies that ISO 4217 has withdrawn since 2008, with the decimals they had. They are sent: what
# was asked for in one of them may be repeated, and whether something is new the service knows.
WITHDRAWN: Mapping[str, int] = {
    "ANG": 2, "BGN": 2, "BYR": 0, "CUC": 2, "CYP": 2, "EEK": 2, "GHC": 2, "HRK": 2, "LTL": 2,
    "LVL": 2, "MRO": 2, "MTL": 2, "SKK": 2, "SLL": 2, "STD": 2, "TMM": 2, "VEB": 2, "VEF": 2,
    "ZMK": 2, "ZWD": 2, "ZWL": 2, "ZWR": 2,
}  # fmt: skip


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal written as text: `minor("19.99", "USD")` → 1999.

    Knows each currency's decimals (JPY 0, USD 2, KWD 3). Too many decimals are an error
    (InvalidRequest), never a rounding.
    """
    code = currency_code(currency)
    if not isinstance(text, str):
        raise InvalidRequest(
            f'write the amount as text, as in minor("19.99", "{code}")', param="amount"
        )
    parts = _DECIMAL.fullmatch(text)
    if parts is None:
        raise InvalidRequest(f'{shown(text)} is not a decimal number like "19.99"', param="amount")
    sign, whole, decimals = parts[1], parts[2], (parts[3] or "").rstrip("0")
    places = exponent(code)
    if len(decimals) > places:
        raise InvalidRequest(
            f"{code} has {places} decimals; {shown(text)} has more", param="amount"
        )
    return minor_amount(int(sign + whole + decimals.ljust(places, "0")), currency=code)


def minor_amount(value: object, *, currency: str | None = None, param: str = "amount") -> int:
    """`value` as a whole positive number of minor units, or InvalidRequest naming what to send.

    Floats are refused, even 5.0: nobody can know whether 5.0 means five cents or five dollars.
    """
    if isinstance(value, (float, Decimal)):
        raise InvalidRequest(_float_fix(value, currency, param), param=param)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(
            f"{param} must be a whole number of minor units (an integer), not {shown(value)}",
            param=param,
        )
    if value <= 0:
        raise InvalidRequest(
            f"{param} must be at least 1 minor unit, not {shown(value)}", param=param
        )
    if value > AMOUNT_MAX:
        raise InvalidRequest(f"{param} must be at most {AMOUNT_MAX} minor units", param=param)
    return value


def currency_code(value: object) -> str:
    """The currency in upper case (`usd` → `USD`), or InvalidRequest."""
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise InvalidRequest(
            f"currency must be a three-letter ISO 4217 code like USD, not {shown(value)}",
            param="currency",
        )
    code = value.upper()
    exponent(code)
    return code


@cache
def exponent(currency: str) -> int:
    """How many decimals a currency has or had (upper case), or InvalidRequest for what is none."""
    # Imported here: it reads its tables when it is imported, and whoever only receives webhooks
    # needs none of them.
    import iso4217

    try:
        decimals: int | None = iso4217.Currency(currency).exponent
    except ValueError:
        decimals = WITHDRAWN.get(currency)
    if decimals is None:  # unknown, or like XAU without a minor unit
        raise InvalidRequest(
            f"{shown(currency)} is not an ISO 4217 currency; send a three-letter code like USD",
            param="currency",
        )
    return decimals


def shown(value: object) -> str:
    """A value as error texts may show it."""
    text = repr(value)
    # A short text may still be an address, or a card number: the shortest have twelve digits.
    is_harmless = "@" not in text and sum(c.isdigit() for c in text) < CARD_DIGITS_MIN
    if len(text) <= SHOWN_MAX and is_harmless:
        return text
    return f"{type(value).__name__} of {len(text)} characters"


def _float_fix(value: float | Decimal, currency: str | None, param: str) -> str:
    """What to send instead. Of a decimal with a fraction only one reading is left; `5.0` may mean
    five of the currency or five of its smallest unit, so both are said, or neither."""
    shown = str(value)
    if len(shown) > SHOWN_MAX or sum(c.isdigit() for c in shown) >= CARD_DIGITS_MIN:
        return f"{param} must be a whole number of minor units, not a decimal; send an integer"
    fix = "send an integer"
    try:
        fix = _fix(Decimal(shown), currency_code(currency), param)
    except InvalidRequest:
        pass  # No currency, or more decimals than it has: the general advice has to do.
    return f"{param} must be a whole number of minor units, not the decimal {shown}; {fix}"


def _fix(number: Decimal, code: str, param: str) -> str:
    """Raises InvalidRequest for what is no amount of the currency, in one reading or another."""
    # `1e999999999` is short, and written out it fills the memory.
    if not number.is_finite() or abs(number.adjusted()) > SHOWN_MAX:
        raise InvalidRequest("no amount", param=param)
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
