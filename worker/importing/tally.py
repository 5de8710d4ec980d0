"""What came of an import, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.importing.source import Refusal

SHOWN_MAX = 20


@dataclass
class Tally:
    """Counts lines. `sums` are minor units per currency, of what is valid, new, and repeated."""

    lines: int = 0
    valid: int = 0
    new: int = 0
    repeated: int = 0
    refused: int = 0
    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    # The first of the refused lines, by their numbers.
    shown: list[tuple[int, Refusal]] = field(default_factory=list)

    def refuse(self, number: int, refusal: Refusal) -> None:
        """A line that is not sent, or that was sent in vain."""
        self.lines += 1
        self.refused += 1
        if len(self.shown) < SHOWN_MAX:
            self.shown.append((number, refusal))

    def expect(self, currency: str | None, amount: int | None) -> None:
        """A line that could be sent."""
        self.lines += 1
        self.valid += 1
        self._add("valid", currency, amount)

    def accept(self, row: Mapping[str, Any], *, fresh: bool) -> None:
        """A line that was sent."""
        self.lines += 1
        if fresh:
            self.new += 1
        else:
            self.repeated += 1
        self._add("new" if fresh else "repeated", row["currency"], row["amount"])

    def _add(self, what: str, currency: str | None, amount: int | None) -> None:
        # A refund may not know yet how much of which currency it will be.
        if currency is not None and amount is not None:
            sums = self.sums.setdefault(currency, {})
            sums[what] = sums.get(what, 0) + amount
