"""Everybody at the same few prices: nobody waits in a circle, and no unit is lost."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.audit.invariants import OURS
from payments.audit.stocktaking import STOCK
from payments.audit.verify import verify
from payments.catalog import inventory
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.claims import Claimed
from payments.lifecycle.database_steps import Begin
from payments.payment_errors import Refused
from payments.processors.outcomes import (
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import ProcessorEvent
from tests.support import invariants
from tests.support.factories import (
    DAY,
    Till,
    a_count,
    a_key,
    a_lease,
    a_price,
    a_refund,
    a_sale,
    kind,
)
from tests.support.refusals import answer_of

THREADS, STEPS = 8, 80
STOCKS = (30, 30, 30, 5, None, None)
DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
FOUND: tuple[Found, ...] = (
    Succeeded("sbx_1"),
    Succeeded("sbx_1"),
    DECLINED,
    Pending("sbx_1", "processing"),
    Unavailable("service_unavailable"),
    Unknown("timeout"),
)


class House:
    """What all of them share: a few prices, their keys, and the requests that are repeated."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.products = [till.product() for _ in range(2)]
        self.keys = [a_key() for _ in range(2)]
        self.prices = [
            till.price(stock, product_id=self.products[n % 2], unit_amount="100")
            for n, stock in enumerate(STOCKS)
        ]
        for key, price_id in zip(self.keys, self.prices[::5], strict=True):
            till.change(price_id, lookup_key=key)
        self.sales = [a_sale(name, 1 + n % 3) for n in range(12) for name in self.names()]
        self.refunds = [
            a_refund(sale.id, amount=50, restock=True, restock_quantity=1)
            for sale in self.sales
            for _ in range(2)
        ]
        self.counts = [
            (price_id, a_count(1 + n, ("increment", "decrement")[n % 2]))
            for price_id in self.prices
            for n in range(8)
        ]

    def names(self) -> list[str]:
        return [*self.prices, *self.keys]


class Person:
    """Does what anybody may do, on whatever comes to mind."""

    def __init__(self, house: House, seed: int) -> None:
        self._house, self._till, self._dice = house, house.till, random.Random(seed)
        self._claimed: list[Claimed] = []
        self.done: Counter[str] = Counter()
        # By how much the stock of prices was changed, as the answers said.
        self.counted: Counter[str] = Counter()

    def run(self) -> None:
        steps: list[Callable[[], object]] = [
            self.buy, self.buy, self.begin, self.begin, self.settle, self.settle, self.settle,
            self.report, self.refund, self.count, self.count, self.archive, self.archive_product,
            self.rename, self.move, self.replace, self.resolve, self.sweep,
        ]  # fmt: skip
        for _ in range(STEPS):
            step = self._dice.choice(steps)
            answer = answer_of(step)
            refused = f" {answer.code}" if isinstance(answer, Refused) else ""
            self.done[step.__name__ + refused] += 1

    def buy(self) -> None:
        self._note(self._till.accept(*self._some(self._house.sales, 4)))

    def begin(self) -> None:
        new = [*self._some(self._house.sales, 3), *self._some(self._house.refunds, 3)]
        items = [self._till.begin_of(request) for request in new]
        items += [Begin(a_lease(), kind=kind(i), id=i) for i in self._till.rows(self._ids(0.3))]
        self._dice.shuffle(items)
        answers = self._till.begin(*items)
        self._note(answers)
        self._claimed += [one for one in answers if isinstance(one, Claimed)]

    def settle(self) -> None:
        self._dice.shuffle(self._claimed)
        items, self._claimed = self._claimed[:6], self._claimed[6:]
        settled = []
        for claimed in items:
            found: Found = self._dice.choice(FOUND)
            if claimed.in_doubt and self._dice.random() < 0.3:
                found = NotFound()
            settled.append((claimed, "look_up" if claimed.in_doubt else claimed.kind.name, found))
        self._till.settle_all(*settled)

    def report(self) -> None:
        outcomes = [one for one in FOUND if isinstance(one, (Succeeded, Declined, Pending))]
        self._till.report_all(
            *(ProcessorEvent(i, kind(i).name, self._dice.choice(outcomes)) for i in self._ids(0.1))
        )

    def refund(self) -> None:
        self._note(self._till.accept(*self._some(self._house.refunds, 4)))

    def count(self) -> None:
        price_id, request = self._dice.choice(self._house.counts)
        with self._till.database.transaction() as transaction:
            _, _, changed = inventory.adjust(transaction, price_id, request)
        if changed:
            self.counted[price_id] += request.change

    def archive(self) -> None:
        name = self._dice.choice(self._house.names())
        self._till.archive(name)
        self._till.change(name, active=True)

    def archive_product(self) -> None:
        product_id = self._dice.choice(self._house.products)
        self._till.archive_product(product_id)
        self._till.change_product(product_id, active=True)

    def rename(self) -> None:
        note = {str(self._dice.randrange(9)): self._dice.choice(["x", "y", None])}
        self._till.change(self._dice.choice(self._house.names()), metadata=note)

    def move(self) -> None:
        price_id, key = self._dice.choice(self._house.prices), self._dice.choice(self._house.keys)
        self._till.change(price_id, lookup_key=key, transfer_lookup_key=True)

    def replace(self) -> None:
        """A new price takes a key, is sold by it, or not, and has to give it back."""
        product_id, key = (
            self._dice.choice(self._house.products),
            self._dice.choice(self._house.keys),
        )
        moved = {"lookup_key": key, "transfer_lookup_key": True}
        new = self._till.make(a_price(product_id, quantity_available=3, **moved))["id"]
        self._till.accept(a_sale(key))
        self._till.change(self._dice.choice(self._house.prices), **moved)
        self._till.delete(new)

    def resolve(self) -> None:
        for id_ in self._ids(0.1):
            decision = self._dice.choice(["succeeded", "failed", "retry"])
            answer = answer_of(lambda i=id_, d=decision: self._till.resolve(i, d))
            self.done["resolved"] += not isinstance(answer, Refused)

    def sweep(self) -> None:
        duration = self._dice.choice([timedelta(minutes=1), 2 * DAY])
        self._till.time_passes(duration, *self._ids(0.1))
        self._till.sweep()

    def _ids(self, share: float) -> list[str]:
        everything = [one.id for one in (*self._house.sales, *self._house.refunds)]
        return self._dice.sample(everything, int(len(everything) * share))

    def _some(self, requests: list[Any], at_most: int) -> list[Any]:
        return self._dice.sample(requests, self._dice.randint(1, at_most))

    def _note(self, answers: list[Any]) -> None:
        for one in answers:
            fresh = isinstance(one, (charges.Accepted, refunds.Accepted)) and one.fresh
            self.done["accepted"] += fresh
            if isinstance(one, Refused):
                self.done[one.code] += 1


def drain(house: House) -> None:
    """Let all that is pending come to an end."""
    till, dice = house.till, random.Random(0)
    for _ in range(20):
        pending = [
            row["id"]
            for table in ("charges", "refunds")
            for row in till.query(f"SELECT id FROM {table} WHERE state = 'pending' ORDER BY id")
        ]
        if not pending:
            return
        for id_ in pending:
            till.time_passes(DAY, id_)
        till.sweep()
        for id_ in pending:
            answer_of(lambda i=id_: till.resolve(i, "succeeded"))
        claims = [one for one in till.submit(*pending) if isinstance(one, Claimed)]
        till.settle_all(
            *(
                (one, "look_up" if one.in_doubt else one.kind.name,
                 dice.choice([Succeeded("sbx_1"), DECLINED]))
                for one in claims
            )
        )  # fmt: skip
    raise AssertionError(f"still pending: {pending}")


def assert_the_books_are_right(till: Till) -> None:
    findings = verify(till.engine, statements={}, invariants=(*OURS, *STOCK))
    broken = [one.view() for one in findings if not one.is_kept]
    assert [one for one in broken if one["level"] == "error"] == []


def expected_stock(till: Till, price_id: str, initial: int, counted: int) -> int:
    """What has to be left, by charges, refunds and what their events told alone."""
    (held,) = till.query(
        "SELECT coalesce(sum(quantity), 0) AS units FROM charges"
        " WHERE price_id = :id AND state <> 'failed'", id=price_id,
    )  # fmt: skip
    (back,) = till.query(
        "SELECT coalesce(sum(r.restock_quantity), 0) AS units FROM refunds r"
        " JOIN charges c ON c.id = r.charge_id WHERE c.price_id = :id AND r.restock"
        " AND EXISTS (SELECT 1 FROM events e"
        "             WHERE e.object_id = r.id AND e.type = 'refund.succeeded')", id=price_id,
    )  # fmt: skip
    return int(initial + counted - held["units"] + back["units"])


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_all_do_to_a_few_prices_nobody_waits_in_a_circle_and_no_unit_is_lost(
    unhurried_engine: Engine, seed: int
) -> None:
    engine = unhurried_engine
    house = House(Till(engine))
    till = house.till
    people = [Person(house, seed * 1000 + n) for n in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        storm = [threads.submit(person.run) for person in people]
        # The promises hold in the middle of it, too: each look is at one moment.
        while not all(one.done() for one in storm):
            assert [
                one.view()
                for one in verify(engine, statements={}, invariants=STOCK)
                if not one.is_kept
            ] == []
            wait(storm, timeout=0.2)
        for one in storm:
            one.result()  # A deadlock, or anything else, is raised here.
    drain(house)

    assert_the_books_are_right(till)
    for price_id, initial in zip(house.prices, STOCKS, strict=True):
        if initial is None:
            assert till.stock(price_id) is None
            continue
        total = sum(person.counted[price_id] for person in people)
        assert till.stock(price_id) == expected_stock(till, price_id, initial, total)
        assert till.events(price_id)  # numbered without a gap
    invariants.check(till, till.rows(one.id for one in (*house.sales, *house.refunds)))
    for key in house.keys:
        assert len(till.query("SELECT 1 FROM prices WHERE lookup_key = :key", key=key)) <= 1

    done = sum((person.done for person in people), Counter[str]())
    happened = ("accepted", "insufficient_inventory", "settle", "report", "refund",
                "count", "archive", "archive_product", "rename", "move", "replace")  # fmt: skip
    assert [one for one in happened if not done[one]] == [], done
    states = {row["state"] for row in till.query("SELECT DISTINCT state FROM reservations")}
    assert states == {"sold", "released"}
    assert till.query("SELECT 1 FROM reservations WHERE restocked > 0 LIMIT 1")
