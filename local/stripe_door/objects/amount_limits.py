"""Amounts as Stripe takes them (docs.stripe.com/currencies): how little, how much."""

from infra.billing.contract.money import current_exponent
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.stripe_errors import invalid

AMOUNT_MAX = 99_999_999
# The same section; without our own figure where it says that cards allow more.
MOST = {"idr": 999_999_999_999, "inr": 999_999_999} | dict.fromkeys(
    ("cop", "huf", "jpy", "lbp"), 99_999_999_999_999
)
# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, in minor units.
LEAST = {
    "usd": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200,
    "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
# Without decimals, but written with two (docs.stripe.com/currencies, special cases).
ENDS_IN_00 = ("isk", "ugx")


def read(request: Request) -> tuple[int, str]:
    """Amount and currency (lower case) of a new payment. Raises Refused."""
    amount, currency = request.param("amount"), str(request.param("currency")).lower()
    decimals = current_exponent(currency.upper())
    if decimals is None:
        raise invalid(f"Invalid currency: {currency}.", param="currency")
    if amount < (least := LEAST.get(currency, 1)):
        raise invalid(
            f"Amount must be at least {least} {currency}", param="amount", code="amount_too_small"
        )
    if amount > (most := MOST.get(currency, AMOUNT_MAX)):
        raise invalid(
            f"Amount must be no more than {most} {currency}",
            param="amount",
            code="amount_too_large",
        )
    if decimals == 3 and amount % 10:
        raise invalid(
            f"Invalid amount: {currency} has three decimals, and the last digit must be 0.",
            param="amount",
        )
    if currency in ENDS_IN_00 and amount % 100:
        raise invalid(
            f"Invalid amount: {currency} is written with two decimals, which must be 00.",
            param="amount",
        )
    return amount, currency
