"""The amount of each capture of a charge, if only its balance line has it, in the settlement
currency.

A line's `exchange_rate` is rounded, and so is its amount: converted back, each may be off by some
of the smallest unit, and so may their sum. The charge has the exact total (`amount_captured`); so
that is what is divided among the captures (https://docs.stripe.com/api/balance_transactions/object,
https://docs.stripe.com/payments/multicapture, read 2026-11).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from payments.processors.stripe.wire import Object

# How many digits of a rate are certainly right.
RATE_DIGITS = 5


def amount_of(entry: Object, together: Sequence[Object]) -> int:
    """The amount of this line's capture, as Stripe writes the charge's currency. `together` are all
    capture lines of its charge at present."""
    weights = {one["id"]: _reckoned(one) for one in sorted(together, key=_by_age)}
    if entry["id"] in weights:
        total = together[0]["source"]["amount_captured"]
        if abs(sum(weights.values()) - total) <= sum(_may_be_off_by(one) for one in together):
            return shared(total, weights)[entry["id"]]
    return round(_reckoned(entry))  # A capture is under way, and its line is missing yet.


def shared(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """`total` in whole parts by these weights: they add up to it; each is off by less than 1."""
    whole = sum(weights.values())
    if not whole:  # too little to show in the other currency
        return shared(total, {name: Fraction(1) for name in weights})
    shares, seen, given = {}, Fraction(0), 0
    for name, weight in weights.items():
        seen += weight
        upto = round(total * seen / whole)
        shares[name] = upto - given
        given = upto
    return shares


def _rate(entry: Object) -> Fraction:
    return Fraction(str(entry.get("exchange_rate") or 1))


def _reckoned(entry: Object) -> Fraction:
    """The captured amount of a line, converted back."""
    return Fraction(entry["amount"]) / _rate(entry)


def _may_be_off_by(entry: Object) -> Fraction:
    """How far that may be off, since its amount and its rate are rounded."""
    return Fraction(1) / _rate(entry) + _reckoned(entry) / Fraction(10**RATE_DIGITS)


def _by_age(entry: Object) -> tuple[int, str]:
    return entry["created"], entry["id"]
