"""The result of an import, in numbers."""

from dataclasses import dataclass, field

from cli.importing.source import Refusal
from infra.billing.contract.card_data import is_card_number
from infra.billing.contract.requests.by_kind import Request
from infra.billing.contract.requests.charge_request import ChargeRequest
from models.rows import LifecycleRow, as_refund

SHOWN_MAX = 20
# Counts for more prices are not useful, and a column with other contents must not fill the memory.
PRICES_MAX = 1000


@dataclass
class Sold:
    """Charges by one price, and how many units they are of."""

    charges: int = 0
    quantity: int = 0


@dataclass
class Tally:
    """Counts lines. `sums` are minor units per currency, of what is valid, new, and repeated;
    `sold` are charges and units per price, likewise.

    What a charge by price comes to is known when it is accepted: it is in the sums from then on,
    and not in those of what is valid.
    """

    lines: int = 0
    valid: int = 0
    new: int = 0
    repeated: int = 0
    refused: int = 0
    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    # Prices are named as in the file; None beyond PRICES_MAX, and for a name that must not be
    # shown.
    sold: dict[str | None, dict[str, Sold]] = field(default_factory=dict)
    # The first of the refused lines, by their numbers.
    shown: list[tuple[int, Refusal]] = field(default_factory=list)

    def refuse(self, number: int, refusal: Refusal) -> None:
        """A line that is not sent, or that was sent in vain."""
        self.lines += 1
        self.refused += 1
        if len(self.shown) < SHOWN_MAX:
            self.shown.append((number, refusal))

    def expect(self, request: Request) -> None:
        """A line that could be sent."""
        self.lines += 1
        self.valid += 1
        self._add("valid", getattr(request, "currency", None), request.amount)
        self._sell("valid", request)

    def accept(self, request: Request, row: LifecycleRow, *, fresh: bool) -> None:
        """A line that was sent, and the row that it is now."""
        self.lines += 1
        if fresh:
            self.new += 1
        else:
            self.repeated += 1
        what = "new" if fresh else "repeated"
        self._add(what, row.currency, as_refund(row).amount)  # charges have one, too
        self._sell(what, request)

    def _sell(self, what: str, request: Request) -> None:
        if not isinstance(request, ChargeRequest) or request.price_id is None:
            return
        name: str | None = request.price_id
        # A card number in the wrong column must not appear in a log.
        if is_card_number(request.price_id) or (
            name not in self.sold and len(self.sold) >= PRICES_MAX
        ):
            name = None
        sold = self.sold.setdefault(name, {}).setdefault(what, Sold())
        sold.charges += 1
        sold.quantity += request.quantity or 0

    def _add(self, what: str, currency: str | None, amount: int | None) -> None:
        # A refund may not know yet how much of which currency it will be.
        if currency is not None and amount is not None:
            sums = self.sums.setdefault(currency, {})
            sums[what] = sums.get(what, 0) + amount
