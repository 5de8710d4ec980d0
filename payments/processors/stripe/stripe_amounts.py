"""Amounts as Stripe writes them, and its limits.

Ours are in the minor unit of ISO 4217. Stripe's are in its own smallest unit, which differs for a
few currencies. All rules: https://docs.stripe.com/currencies, read 2026-11-29: its table of
minimums and its list of how many digits an amount may have, entry by entry.
"""

from collections.abc import Mapping

from payments.processors.processor_limits import MoneyLimit, MoneyLimits

# #special-cases: no decimals any more, but still written with two that must be 0. ISO 4217 has
# none.
TIMES_100 = frozenset({"ISK", "UGX"})
# #zero-decimal: written in whole units, although ISO 4217 has two decimals.
WHOLE_UNITS = frozenset({"MGA"})
# #three-decimal: written in all three, but card networks settle in two.
LAST_DIGIT_0 = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

# #minimum-and-maximum-charge-amounts, in our minor units. Stripe applies them in the settlement
# currency, which differs from the charge's if an account has only one: it may require a little more
# than this, and then declines. For currencies that nothing settles in, such as UGX and MGA, it
# names no minimum: the charge converted to the account's own currency must reach that currency's
# minimum.
LEAST: Mapping[str, int] = {
    "AED": 200,
    "AUD": 50,
    "BGN": 100,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 1500,
    "DKK": 250,
    "EUR": 50,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17500,
    "INR": 50,
    "JPY": 50,
    "MXN": 1000,
    "MYR": 200,
    "NOK": 300,
    "NZD": 50,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "SGD": 50,
    "THB": 1000,
    "USD": 50,
}
# Below the same table: "8 digits for all other currencies", as Stripe writes them.
EIGHT_DIGITS = 99_999_999
MORE_DIGITS: Mapping[str, int] = {"IDR": 999_999_999_999, "INR": 999_999_999}
# For cards these allow more, and the page's text and its figures disagree on how much: Stripe
# declines what is too much.
UNBOUNDED = frozenset({"COP", "HUF", "JPY", "LBP"})


def to_stripe(amount: int, currency: str) -> int:
    """Our minor units as Stripe writes them. An amount that it can't write exactly is a bug:
    `LIMITS` has refused it."""
    if currency in TIMES_100:
        return amount * 100
    if currency in WHOLE_UNITS:
        whole, rest = divmod(amount, 100)
        if rest:
            raise ValueError(f"Stripe writes {currency} in whole units")
        return whole
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """What Stripe wrote, in our minor units."""
    if currency in TIMES_100:
        return amount // 100
    return amount * 100 if currency in WHOLE_UNITS else amount


def _limit(currency: str) -> MoneyLimit:
    multiple = 10 if currency in LAST_DIGIT_0 else 100 if currency in WHOLE_UNITS else 1
    return MoneyLimit(
        least=LEAST.get(currency, multiple), most=_most(currency), multiple_of=multiple
    )


def _most(currency: str) -> int | None:
    if currency in UNBOUNDED:
        return None
    return from_stripe(MORE_DIGITS.get(currency, EIGHT_DIGITS), currency)


_NAMED = {*LEAST, *MORE_DIGITS, *UNBOUNDED, *TIMES_100, *WHOLE_UNITS, *LAST_DIGIT_0}
LIMITS = MoneyLimits(
    {code: _limit(code) for code in sorted(_NAMED)}, others=MoneyLimit(most=EIGHT_DIGITS)
)
