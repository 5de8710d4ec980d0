"""The order in which rows are locked: transactions may wait for each other, but not in a circle.

What is asked for in another order than it is locked shows only under load. So each of these looks
at a transaction while it waits, or at the statements that it ran.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from payments.catalog.price_locks import hold_all, hold_to_sell
from payments.kinds import CHARGE
from payments.lifecycle.locks import hold_charges
from payments.lifecycle.sweeps import expire_leases
from payments.processors.outcomes import Pending, Succeeded
from payments.processors.port import ProcessorEvent
from payments.transaction import Transaction
from tests.support.every import every
from tests.support.factories import Till, a_charge, a_refund

WAITING = Pending("sbx_1", "processing")
Hold = Callable[[Transaction, list[str]], Any]


@contextmanager
def locked_by_somebody(till: Till, price_id: str) -> Iterator[None]:
    with till.engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT 1 FROM prices WHERE id = :id FOR UPDATE"), {"id": price_id})
        yield


def is_free(till: Till, price_id: str) -> bool:
    """Whether nobody holds the price at this moment."""
    free = "SELECT id FROM prices WHERE id = :id FOR UPDATE SKIP LOCKED"
    with till.engine.connect() as connection, connection.begin():
        return bool(connection.execute(text(free), {"id": price_id}).all())


@pytest.mark.parametrize("hold", [hold_all, hold_to_sell], ids=["to change", "to sell"])
def test_prices_without_stock_are_held_before_those_with_stock(till: Till, hold: Hold) -> None:
    """Whatever their ids say: sellers take them in two steps, and everybody else as sellers do."""
    counted, unlimited = till.price(stock=5), till.price()
    while unlimited < counted:  # by their ids alone, the one with stock would come first
        unlimited = till.price()

    def holding() -> None:
        with till.database.transaction() as transaction:
            hold(transaction, [counted, unlimited])

    with ThreadPoolExecutor(1) as thread:
        with locked_by_somebody(till, unlimited):
            waiting = thread.submit(holding)
            till.wait_until_stuck(1)
            assert is_free(till, counted)
        waiting.result()
        with locked_by_somebody(till, counted):
            waiting = thread.submit(holding)
            till.wait_until_stuck(1)
            assert not is_free(till, unlimited)
        waiting.result()


@pytest.mark.parametrize("hold", [hold_all, hold_to_sell], ids=["to change", "to sell"])
def test_prices_of_a_kind_are_held_in_the_order_of_their_ids(till: Till, hold: Hold) -> None:
    for stock in (5, None):
        first, second = sorted([till.price(stock=stock), till.price(stock=stock)])

        def holding(first: str = first, second: str = second) -> None:
            with till.database.transaction() as transaction:
                hold(transaction, [second, first])

        with ThreadPoolExecutor(1) as thread:
            with locked_by_somebody(till, first):
                waiting = thread.submit(holding)
                till.wait_until_stuck(1)
                assert is_free(till, second)
            waiting.result()


@contextmanager
def written(engine: Engine) -> Iterator[list[str]]:
    """The tables whose rows are locked or changed in here, in order, each when it first is."""
    tables: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found = re.findall(r"\bUPDATE (prices|charges|refunds)\b", statement)
        if "FOR NO KEY UPDATE" in statement:
            found += re.findall(r"\bFROM (prices|charges|refunds)\b", statement)[:1]
        tables.extend(one for one in found if one not in tables)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield tables
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def moves(engine: Engine) -> Iterator[list[str]]:
    """The tables whose rows change their state in here, in order."""
    tables: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        tables.extend(re.findall(r"\bUPDATE (charges|refunds) SET state=", statement))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield tables
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_reports_of_charges_are_made_before_those_of_refunds(engine: Engine) -> None:
    """However a processor tells them: a charge that moves wakes refunds, and so locks them."""
    till = Till(engine)
    refund = till.claim(a_refund(till.charged(), amount=1))
    till.settle(refund, WAITING)
    charge = till.claim(a_charge())
    till.settle(charge, WAITING)
    told = [
        ProcessorEvent(refund.id, "refund", Succeeded("sbx_r")),
        ProcessorEvent(charge.id, "charge", Succeeded("sbx_c")),
    ]
    with written(engine) as locked, moves(engine) as moved:
        assert till.report_all(*told) == 2
    assert locked == ["prices", "charges", "refunds"]
    assert moved == ["charges", "refunds"]


def test_whatever_is_done_prices_come_before_charges_and_charges_before_refunds(
    engine: Engine,
) -> None:
    till = Till(engine)
    price = till.price(stock=10)
    sold = till.sold(price, 2)
    sale = till.begin_of(a_charge())
    back = a_refund(sold, restock=True)
    with written(engine) as locked:
        claims = till.begin(till.begin_of(back), sale)
    assert locked == ["charges", "refunds"]
    with written(engine) as locked:
        till.settle_all(
            *((one, one.kind.name, Succeeded("sbx_1")) for one in claims)  # type: ignore[union-attr]
        )
    assert locked == ["prices", "charges", "refunds"]


@every("asks", ["of_refunds", "to_refund"])
def test_only_the_charges_of_these_refunds_are_held(till: Till, asks: str) -> None:
    """Whoever else may refund, and whatever else has refunds, is not waited for."""
    charge, other = till.charged(), till.charged()
    refund = a_refund(charge)
    till.accept(refund, a_refund(other))
    wanted: dict[str, Any] = {"of_refunds": [refund.id], "to_refund": [(charge, "tests")]}
    with till.database.transaction() as transaction:
        assert set(hold_charges(transaction, **{asks: wanted[asks]})) == {charge}


def test_a_sweep_of_leases_waits_for_nobody(till: Till) -> None:
    """Whoever holds a row whose lease ran out is settling it."""
    held, free = till.claim(a_charge()).id, till.claim(a_charge()).id
    till.time_passes(timedelta(minutes=1), held, free)
    with till.engine.connect() as holder, holder.begin():
        holder.execute(text("SELECT 1 FROM charges WHERE id = :id FOR UPDATE"), {"id": held})
        with till.database.transaction() as transaction:
            transaction.execute(text("SET LOCAL lock_timeout = '2s'"))
            expire_leases(transaction, CHARGE, limit=100_000)
    assert [till.stand(id_) for id_ in (held, free)] == ["in_flight", "unknown"]
