"""What is asked in the demo, and what is to come of it: the lines of `requests.jsonl`.

A line is one request. `do` is `charge`, `refund`, `repeat` (the request of the line `of`, once
more, or `times`) or `message` (sent past the SDK, as a stranger's program would). Amounts are
decimals as a shop writes them. `once_accepted` and `once_final` name the request that comes first;
`at_once` means without a pause; `then` is what the customer does when asked. A charge names an
amount and a currency, or a `price` of `prices.jsonl` and a `quantity`; a refund that has `restock`
brings so many units back. `expect` says how it ends:

    succeeded · failed CODE · needs_review     the charge or refund
    rejected CODE · quarantined                at the worker's door
    unsent CODE                                by the SDK, before anything is sent
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from infra import billing
from infra.billing.contract.ids import Kind, id_from_key

FILE = Path(__file__).with_name("requests.jsonl")
PRICES = Path(__file__).with_name("prices.jsonl")
# Part of every id. The shops share one SDK, so they are one producer to the service.
PRODUCER = "demo"

Verb = Literal["charge", "refund", "repeat", "message"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One line of the file; see above."""

    do: Verb
    shop: str
    key: str = ""
    expect: str = ""
    note: str | None = None
    # A charge's
    item: str | None = None
    amount: str | None = None
    currency: str | None = None
    price: str | None = None
    quantity: int | None = None
    customer: str | None = None
    card: str | None = None
    reference: str | None = None
    then: Literal["confirms", "declines"] | None = None
    # A refund's, and the request that a repeat repeats
    of: str | None = None
    reason: str | None = None
    if_pending: str | None = None
    expected_refunded_amount: int | None = None
    restock: int | None = None
    # A message's: a task with its fields, or bytes that are no message at all
    task: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    # When, and how often
    once_accepted: str | None = None
    once_final: str | None = None
    at_once: bool = False
    times: int = 1

    @property
    def ending(self) -> str:
        """The first word of `expect`: succeeded, failed, needs_review, rejected, …"""
        return self.expect.partition(" ")[0]

    @property
    def code(self) -> str | None:
        """The second word of `expect`: why it failed, or was rejected."""
        return self.expect.partition(" ")[2] or None

    @property
    def makes_object(self) -> bool:
        """Whether a charge or refund comes of it."""
        return self.ending in ("succeeded", "failed", "needs_review")

    @property
    def contradicts(self) -> bool:
        """Whether another line came first with the same key."""
        return self.once_accepted == self.key

    @cached_property
    def object_id(self) -> str:
        """The id of the charge or refund, which follows from the key."""
        kind: Kind = "refund" if self.do == "refund" else "charge"
        return id_from_key(kind, producer=PRODUCER, key=self.key)


@dataclass(frozen=True, kw_only=True)
class Price:
    """One line of `prices.jsonl`: an item with a limited stock. `key` is the lookup key."""

    key: str
    shop: str
    item: str
    amount: str
    currency: str
    stock: int

    @property
    def unit_amount(self) -> int:
        """What one of it costs, in minor units."""
        return billing.minor(self.amount, self.currency)


@dataclass(frozen=True)
class Scenario:
    """All lines, and those that others name; prices by their keys."""

    lines: Sequence[Line]
    # The line that made the charge or refund of a key: not its repeats and conflicts.
    makers: Mapping[str, Line]
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """How many requests that is, each repeat counted."""
        return sum(line.times for line in self.lines)

    @property
    def shops(self) -> Mapping[str, Sequence[Line]]:
        """The lines of each shop, in the order of the file."""
        shops: dict[str, list[Line]] = {}
        for line in self.lines:
            shops.setdefault(line.shop, []).append(line)
        return shops

    def currency_of(self, line: Line) -> str:
        """The currency of a charge or, for a refund, of what it refunds."""
        charge = self.makers[line.of] if line.of else line
        return self.prices[charge.price].currency if charge.price else charge.currency or ""

    def amount_of(self, charge: Line) -> int:
        """What a charge is about, in minor units."""
        if charge.price:
            return self.prices[charge.price].unit_amount * (charge.quantity or 0)
        return billing.minor(charge.amount or "", charge.currency or "")

    def left_of(self, price: Price) -> int:
        """How many units are left at the end: what was there, less what was sold, plus what came
        back."""
        good = [one for one in self.makers.values() if one.ending == "succeeded"]
        sold = {one.key: one.quantity or 0 for one in good if one.price == price.key}
        back = sum(one.restock or 0 for one in good if one.of in sold)
        return price.stock - sum(sold.values()) + back

    def pick(self, shops: Iterable[str]) -> "Scenario":
        """Only what these shops send."""
        chosen = set(shops)
        lines = [line for line in self.lines if line.shop in chosen]
        return make(lines, [one for one in self.prices.values() if one.shop in chosen])


def read(file: Path = FILE, prices: Path = PRICES) -> Scenario:
    """The scenario in two files. Raises ValueError, with the line's number, for what is none."""
    return make(_lines(file, Line), _lines(prices, Price))


def make(lines: Sequence[Line], prices: Sequence[Price] = ()) -> Scenario:
    """The scenario of these lines and prices."""
    makers = {line.key: line for line in lines if line.makes_object}
    return Scenario(lines, makers, {price.key: price for price in prices})


T = TypeVar("T", Line, Price)


def _lines(file: Path, what: type[T]) -> list[T]:
    lines = []
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            lines.append(what(**json.loads(text)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file.name}, line {number}: {error}") from None
    return lines
