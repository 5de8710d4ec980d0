"""What a processor takes: which currencies, which amounts of them, and whether in parts; known
before it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.billing.contract.money import AMOUNT_MAX


@dataclass(frozen=True, slots=True)
class MoneyLimit:
    """Of one currency, in its minor units."""

    # Of a charge. A refund may be as small as it likes. Without a most of its own, the processor
    # takes whatever the rules of the request take, which have judged it.
    least: int = 1
    most: int | None = None
    # Of charges and refunds. Card networks settle in two decimals at most, so that the last digit
    # of a three-decimal currency must be 0 (docs.stripe.com/currencies#three-decimal).
    multiple_of: int = 1

    def __post_init__(self) -> None:
        most = AMOUNT_MAX if self.most is None else self.most
        if not 1 <= self.least <= most <= AMOUNT_MAX or self.multiple_of < 1:
            raise ValueError("a limit must be 1 <= least <= most, and a multiple of 1 or more")
        if most // self.multiple_of * self.multiple_of < self.least:
            raise ValueError("no amount is within the limit")


@dataclass(frozen=True, slots=True)
class MoneyLimits:
    """Of all currencies: those that are named have a limit of their own; `others` is that of the
    rest, or None when the processor takes no other currency."""

    named: Mapping[str, MoneyLimit] = field(default_factory=dict)
    others: MoneyLimit | None = MoneyLimit()
    # Whether a capture may leave the rest set aside for another one.
    captures_in_parts: bool = True

    def of(self, currency: str) -> MoneyLimit | None:
        """The limit of a currency (upper case); None when the processor doesn't take it."""
        return self.named.get(currency, self.others)


# What a processor takes that declares nothing.
ANYTHING = MoneyLimits()
NO_LIMITS: Mapping[str, MoneyLimits] = {}
