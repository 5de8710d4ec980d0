"""Amounts as people read them: `19.99 USD`, `500 JPY`, `1.234 KWD`."""

from decimal import Decimal

from infra.billing.contract.invalid import Invalid
from infra.billing.contract.money import exponent


def in_words(amount: int | None, currency: str | None) -> str:
    """Minor units as a decimal with its currency; a dash if not known yet."""
    if amount is None:
        return "–"
    try:
        places = exponent(currency or "")
    except Invalid:  # Not fixed yet, or a currency that ISO has withdrawn since.
        return f"{amount} minor units {currency or ''}".rstrip()
    return f"{Decimal(amount).scaleb(-places):.{places}f} {currency}"


def as_decimal(amount: int, currency: str | None) -> Decimal:
    """Minor units as a decimal with all places of the currency: 1999 in USD is 19.99, 500 in JPY is
    500. For a currency unknown to ISO 4217, minor units."""
    try:
        return Decimal(amount).scaleb(-exponent(currency or ""))
    except Invalid:
        return Decimal(amount)
