"""Money: the contract's rules, whose refusals are the SDK's."""

from infra.billing.contract import money
from infra.billing.fields import checked


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal written as text: `minor("19.99", "USD")` → 1999.

    Knows each currency's decimals (JPY 0, USD 2, KWD 3). Too many decimals are an error
    (InvalidRequest), never a rounding.
    """
    return checked(money.minor, text, currency)


def minor_amount(value: object, *, currency: str | None = None, param: str = "amount") -> int:
    """`value` as a whole positive number of minor units, or InvalidRequest naming what to send."""
    return checked(money.minor_amount, value, currency=currency, param=param)


def currency_code(value: object) -> str:
    """The currency in upper case (`usd` → `USD`), or InvalidRequest."""
    return checked(money.currency_code, value)
