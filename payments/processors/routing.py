"""Which processor takes a new charge: rules as data, of which the first that fits counts.

A charge is given its processor when it is accepted, and keeps it: what comes later (look-ups,
refunds, cancellations) goes where the charge went.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Route:
    """Charges that fit all that is said go to `processor`. `method` is a payment method's id, or
    the beginning of such ids with a * behind it."""

    processor: str
    currency: str | None = None
    producer: str | None = None
    method: str | None = None

    def fits(self, *, currency: str | None, producer: str, method: str | None) -> bool:
        """Whether a charge goes this way."""
        return (
            self.currency in (None, currency)
            and self.producer in (None, producer)
            and (self.method is None or _begins(self.method, method or ""))
        )

    def __str__(self) -> str:
        """As settings write it: `stripe:currency=EUR:producer=shop`."""
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
    """The name of the processor that takes a charge."""
    for route in routes:
        if route.fits(currency=currency, producer=producer, method=method):
            return route.processor
    return default


def _begins(pattern: str, method: str) -> bool:
    if pattern.endswith("*"):
        return method.startswith(pattern[:-1])
    return method == pattern
