"""Amounts as Stripe writes them, and which it takes.

Ours are in the minor unit of ISO 4217. Stripe's are in its own smallest unit, which differs for a
few currencies. All rules: https://docs.stripe.com/currencies, read 2026-11.
"""

from collections.abc import Mapping

from payments.processors.limits import MoneyLimit, MoneyLimits

# #special-cases: no decimals since, but still written with two that must be 0. ISO 4217 has none.
TIMES_100 = frozenset({"ISK", "UGX"})
# #zero-decimal: written in whole units, although ISO 4217 has two decimals.
WHOLE_UNITS = frozenset({"MGA"})
# #three-decimal: written in all three, but card networks settle in two.
LAST_DIGIT_0 = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

# #minimum-and-maximum-charge-amounts, in our minor units. Stripe judges by the settlement currency,
# which differs from the charge's where accounts have one only: it may ask for a little more than
# this, and then declines.
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
# "The amount value supports up to eight digits": for these, of which one unit is worth enough that
# nobody needs more. Of the others Stripe takes more digits of some; what is too much it declines.
EIGHT_DIGITS = 99_999_999
BOUNDED = frozenset({"AUD", "BRL", "CAD", "CHF", "EUR", "GBP", "NZD", "SGD", "USD"})


def to_stripe(amount: int, currency: str) -> int:
    """Our minor units as Stripe writes them. A fraction of what it can write is a bug: `LIMITS`
    has refused it."""
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
        least=LEAST.get(currency, multiple),
        most=EIGHT_DIGITS if currency in BOUNDED else None,
        multiple_of=multiple,
    )


LIMITS = MoneyLimits(
    {code: _limit(code) for code in sorted({*LEAST, *BOUNDED, *LAST_DIGIT_0, *WHOLE_UNITS})}
)
