"""Whoever reads on from the newest row seen misses none: lists end before what is being written."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from api.list_horizon import horizon
from payments.catalog import prices, products
from payments.history import settled
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.locks import hold_charges
from payments.transaction import Transaction
from tests.support import hourglass
from tests.support.acting import ADA
from tests.support.factories import Till, a_charge, a_price, a_product, a_refund
from tests.support.waiting import patience_s
from tests.support.web import Caller, Web

T = TypeVar("T")


@contextmanager
def being_written(door: Web, what: str, producer: str) -> Iterator[str]:
    """A row that is written and not yet committed; its id."""
    till = Till(door.engine)
    if what == "refunds":
        charge = a_charge(producer=producer)
        till.create(charge)
        # The first move of a producer's money makes its book in the ledger, which others wait for.
        till.create(a_refund(charge, amount=1, producer=producer))
    with door.engine.connect() as connection:
        transaction = Transaction(connection, ADA)
        if what == "charges":
            (made,) = charges.accept(
                transaction, [charges.NewCharge(a_charge(producer=producer), "sandbox")]
            )
        elif what == "refunds":
            request = a_refund(charge, producer=producer)
            held = hold_charges(transaction, ids=[charge.id])
            (made,) = refunds.accept(transaction, [refunds.NewRefund(request, "sandbox")], held)
        else:
            product, _ = products.create(transaction, a_product(), livemode=False)
            if what == "products":
                made = product
            else:
                made, _ = prices.create(transaction, a_price(product.id), livemode=False)
        yield made.id if what in ("products", "prices") else made.row.id  # type: ignore[union-attr]
        connection.commit()


def seen(caller: Caller, what: str) -> list[str]:
    page = caller.get(f"/{what}")
    assert page.status_code == 200, page.text
    found = page.json()
    rows = found["data"] if "data" in found else found["list"]
    return [row.get("id") or row.get(f"{what[:-1]}_id") for row in rows]


def since(caller: Caller, moment: str) -> list[dict[str, str]]:
    """All charges from this moment on, newest first."""
    found: list[dict[str, str]] = []
    cursor = None
    while True:
        query = {"created_after": moment, "limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = caller.get("/charges", params=query).json()
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def newer(caller: Caller, what: str) -> str:
    """One more, committed at once."""
    if what == "charges":
        return str(caller.charge().json()["charge_id"])
    if what == "refunds":
        return str(caller.refund(caller.charge().json()["charge_id"]).json()["refund_id"])
    return caller.product() if what == "products" else str(caller.price()["id"])


@pytest.mark.parametrize("what", ["charges", "refunds", "products", "prices"])
def test_what_is_newer_than_a_row_being_written_is_shown_after_it(
    door: Web, caller: Caller, what: str
) -> None:
    with being_written(door, what, caller.producer) as late:
        overtaking = newer(caller, what)
        before = seen(caller, what)
        assert overtaking not in before
        assert late not in before
    after = seen(caller, what)
    assert after[:2] == [overtaking, late]


class Looks:
    """A database of which the third look sees that somebody has ended; `looks` counts them."""

    def __init__(self, door: Web, ends: Callable[[], object]) -> None:
        self.looks = 0
        self._door = door
        self._ends = ends

    async def read(self, look: Callable[[Connection], T]) -> T:
        self.looks += 1
        if self.looks == 3:
            self._ends()
        with self._door.engine.connect() as connection:
            return look(connection.execution_options(isolation_level="AUTOCOMMIT"))


def test_a_list_waits_a_moment_for_those_who_write_and_so_shows_what_was_just_made(
    door: Web, caller: Caller
) -> None:
    """By a clock that only the wait moves."""
    with ExitStack() as writing:
        late = writing.enter_context(being_written(door, "charges", caller.producer))
        mine = newer(caller, "charges")
        looks = Looks(door, writing.close)
        whole = hourglass.run(horizon(looks, "charges"))  # type: ignore[arg-type]
    assert looks.looks == 3
    made = Till(door.engine).query(
        "SELECT id FROM charges WHERE created_at < :at", at=whole.isoformat()
    )
    assert {mine, late} <= {row["id"] for row in made}


def test_a_poller_misses_nothing_while_many_write(door: Web, caller: Caller) -> None:
    done, made = threading.Event(), []

    def write(n: int) -> None:
        while not done.is_set():
            request = a_charge(producer=caller.producer)
            with door.engine.begin() as connection:
                charges.accept(Transaction(connection), [charges.NewCharge(request, "sandbox")])
                connection.execute(text("SELECT pg_sleep(:s)"), {"s": 0.005 * (n + 1)})
            made.append(request.id)

    (start,) = Till(door.engine).query("SELECT clock_timestamp() AS at")
    newest, met = start["at"].isoformat(), set[str]()
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, n) for n in range(4)]
        for _ in range(25):
            found = since(caller, newest)
            met |= {one["charge_id"] for one in found}
            newest = found[0]["created_at"] if found else newest
        done.set()
        for writer in writers:
            writer.result(patience_s())
    met |= {one["charge_id"] for one in since(caller, newest)}
    assert set(made) - met == set()


def test_a_person_who_holds_rows_for_long_is_not_waited_for(door: Web) -> None:
    with door.engine.connect() as person, door.engine.connect() as other:
        person.execute(text("UPDATE charges SET woken_at = woken_at WHERE false"))
        reader = other.execution_options(isolation_level="AUTOCOMMIT")
        now = settled.writers(reader, "charges")
        assert now.transactions
        assert now.since is not None
        long_ago = settled._WRITERS
        row = reader.execute(long_ago, {"table": "charges", "most": settled._MOST * 0}).one()
        assert (row.transactions, row.since) == ([], None)


def test_writers_of_another_role_are_waited_for_though_their_begin_is_hidden(door: Web) -> None:
    role = f"reader_{uuid.uuid4().hex}"
    with door.engine.connect() as writer, door.engine.connect() as reader:
        reader.execute(text(f"CREATE ROLE {role}"))
        reader.commit()
        try:
            writer.execute(text("LOCK TABLE charges IN ROW EXCLUSIVE MODE"))
            reader.execute(text(f"SET ROLE {role}"))
            found = settled.writers(reader, "charges")
            assert len(found.transactions) >= 1
            assert found.since is not None
            assert found.at - found.since >= timedelta(seconds=settled.TRANSACTION_S)
        finally:
            reader.rollback()
            reader.execute(text("RESET ROLE"))
            reader.execute(text(f"DROP ROLE {role}"))
            reader.commit()
