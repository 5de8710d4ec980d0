"""The limits of a processor: its currencies, their amounts, and whether it captures in parts; known
before it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.billing.contract.money import AMOUNT_MAX


@dataclass(frozen=True, slots=True)
class MoneyLimit:
    """Limits for one currency, in its minor units."""

    # For a charge. There is no minimum for refunds. Without its own maximum, the processor accepts
    # whatever the rules of the request allow, which are checked first.
    least: int = 1
    most: int | None = None
    # For charges and refunds. Card networks settle in two decimals at most, so the last digit of a
    # three-decimal currency must be 0 (docs.stripe.com/currencies#three-decimal).
    multiple_of: int = 1

    def __post_init__(self) -> None:
        most = AMOUNT_MAX if self.most is None else self.most
        if not 1 <= self.least <= most <= AMOUNT_MAX or self.multiple_of < 1:
            raise ValueError("a limit must be 1 <= least <= most, and a multiple of 1 or more")
        if most // self.multiple_of * self.multiple_of < self.least:
            raise ValueError("no amount is within the limit")


@dataclass(frozen=True, slots=True)
class MoneyLimits:
    """Limits for all currencies: those in `named` have their own; `others` is the limit of the
    rest, or None if the processor accepts no other currency."""

    named: Mapping[str, MoneyLimit] = field(default_factory=dict)
    others: MoneyLimit | None = MoneyLimit()
    # Whether a capture may leave the rest authorized for another one.
    captures_in_parts: bool = True

    def of(self, currency: str) -> MoneyLimit | None:
        """The limit of a currency (upper case); None if the processor doesn't accept it."""
        return self.named.get(currency, self.others)


# The limits of a processor that declares none.
ANYTHING = MoneyLimits()
NO_LIMITS: Mapping[str, MoneyLimits] = {}
