"""Stripe's tables: currencies, and the words for a refused card."""

from infra.billing.contract.failures import DECLINES
from infra.billing.contract.money import exponent
from payments.processors.stripe import stripe_amounts
from payments.processors.stripe.declines import DECLINE_CODES, ERROR_CODES, our_code
from tests.support.every import every

# docs.stripe.com/currencies#zero-decimal, #three-decimal and #special-cases, as read in 2026-11.
ZERO_DECIMAL = [
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "JPY",
    "KMF",
    "KRW",
    "MGA",
    "PYG",
    "RWF",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
]
THREE_DECIMAL = ["BHD", "JOD", "KWD", "OMR", "TND"]
TWO_DECIMAL = [
    "AED",
    "AUD",
    "BRL",
    "CAD",
    "CHF",
    "CZK",
    "EUR",
    "GBP",
    "HUF",
    "IDR",
    "INR",
    "ISK",
    "MXN",
    "SEK",
    "TWD",
    "UGX",
    "USD",
    "ZAR",
]


@every(
    "currency, decimals",
    [(code, 0) for code in ZERO_DECIMAL]
    + [(code, 3) for code in THREE_DECIMAL]
    + [(code, 2) for code in TWO_DECIMAL],
)
def test_one_whole_unit_has_as_many_decimals_as_stripe_gives_it(
    currency: str, decimals: int
) -> None:
    whole = 10 ** exponent(currency)
    assert stripe_amounts.to_stripe(whole, currency) == 10**decimals
    assert stripe_amounts.from_stripe(10**decimals, currency) == whole


@every(
    "currency, least, most, multiple_of",
    [
        ("USD", 50, 99_999_999, 1),
        ("GBP", 30, 99_999_999, 1),
        ("JPY", 50, None, 1),
        ("HUF", 17_500, None, 1),
        ("IDR", 1, 999_999_999_999, 1),
        ("INR", 50, 999_999_999, 1),
        ("KWD", 10, 99_999_999, 10),  # card networks settle in two decimals
        ("ZAR", 1, 99_999_999, 1),  # what has no row of its own
        # Eight digits as Stripe writes them are six of ours, and ten.
        ("UGX", 1, 999_999, 1),
        ("MGA", 100, 9_999_999_900, 100),
    ],
)
def test_what_stripe_takes_of_a_currency(
    currency: str, least: int, most: int | None, multiple_of: int
) -> None:
    limit = stripe_amounts.LIMITS.of(currency)
    assert limit is not None
    assert (limit.least, limit.most, limit.multiple_of) == (least, most, multiple_of)


@every("word, ours", [*DECLINE_CODES.items(), *ERROR_CODES.items()])
def test_every_word_of_stripes_has_one_of_ours(word: str, ours: str) -> None:
    assert ours in DECLINES
    assert our_code(word, None) == ERROR_CODES.get(word, "card_declined")
    assert our_code("card_declined", word) == DECLINE_CODES.get(word, "card_declined")
