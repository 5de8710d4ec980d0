"""Which processor gets a new charge: rules as data; the first match counts.

A charge gets its processor when it is accepted, and keeps it: everything later (look-ups, refunds,
cancellations) goes to the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Route:
    """Charges that match every condition go to `processor`. `method` is a payment method's id, or
    the beginning of such ids followed by a *."""

    processor: str
    currency: str | None = None
    producer: str | None = None
    method: str | None = None

    def fits(self, *, currency: str | None, producer: str, method: str | None) -> bool:
        """Whether a charge matches."""
        return (
            self.currency in (None, currency)
            and self.producer in (None, producer)
            and (self.method is None or _begins(self.method, method or ""))
        )

    def __str__(self) -> str:
        """The form used in settings: `stripe:currency=EUR:producer=shop`."""
        said = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        conditions = [f"{name}={value}" for name, value in said.items() if value is not None]
        return ":".join([self.processor, *conditions])


CONDITIONS = tuple(field.name for field in fields(Route)[1:])


def choose(
    routes: Sequence[Route],
    default: str,
    *,
    currency: str | None,
    producer: str,
    method: str | None,
) -> str:
    """The name of the processor for a charge."""
    for route in routes:
        if route.fits(currency=currency, producer=producer, method=method):
            return route.processor
    return default


def _begins(pattern: str, method: str) -> bool:
    if pattern.endswith("*"):
        return method.startswith(pattern[:-1])
    return method == pattern
