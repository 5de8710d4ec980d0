"""Money: the contract's rules, whose refusals are the SDK's."""

from infra.billing.arguments import checked
from infra.billing.contract import money


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal written as text: `minor("19.99", "USD")` → 1999.

    Knows each currency's decimals (JPY 0, USD 2, KWD 3). Too many decimals are an error
    (InvalidRequest), never a rounding.
    """
    return checked(money.minor, text, currency)
