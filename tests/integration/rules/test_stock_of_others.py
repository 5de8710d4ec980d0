"""A worker that is older than prices settles charges by price, and leaves their stock to others."""

from collections.abc import Callable
from typing import Any

import pytest

from models.states import State
from payments.audit.verify import is_sound, verify
from payments.catalog import stock
from payments.lifecycle import moves, sweeps
from payments.processors.outcomes import Declined, Outcome
from tests.support.factories import SUCCEEDED, Till, a_refund, a_sale
from tests.support.sandbox import STATEMENTS

DECLINED = Declined("card_declined", "The card was declined.", "declined")
Settle = Callable[[str, Outcome], str]


@pytest.fixture
def settled_by_an_older_worker(till: Till, monkeypatch: pytest.MonkeyPatch) -> Settle:
    """The id of a charge of three units that was settled so."""

    def settle(price_id: str, outcome: Outcome) -> str:
        claimed = till.claim(a_sale(price_id, 3))
        with monkeypatch.context() as older:
            older.setattr(moves.stock, "follow", lambda *_: None)
            till.settle(claimed, outcome)
        return claimed.id

    return settle


def held_by(till: Till, charge_id: str) -> Any:
    (row,) = till.query("SELECT * FROM reservations WHERE charge_id = :id", id=charge_id)
    return row


def sweep(till: Till) -> int:
    with till.database.transaction() as transaction:
        return sweeps.settle_stock(transaction)


def books(till: Till) -> list[str]:
    """What `billing verify` finds wrong about stock."""
    findings = [one for one in verify(till.engine, statements=STATEMENTS) if not is_sound([one])]
    return [one.invariant.name for one in findings if "stock" in one.invariant.name]


@pytest.mark.parametrize(
    ("outcome", "state", "left"), [(SUCCEEDED, "sold", 2), (DECLINED, "released", 5)]
)
def test_the_sweep_lets_stock_follow(
    till: Till, settled_by_an_older_worker: Settle, outcome: Outcome, state: str, left: int
) -> None:
    price_id = till.price(stock=5)
    charge_id = settled_by_an_older_worker(price_id, outcome)
    assert held_by(till, charge_id)["state"] == "held"
    assert "stock follows charges" in books(till)
    assert sweep(till) == 1
    assert held_by(till, charge_id)["state"] == state
    assert till.stock(price_id) == left
    assert books(till) == []
    assert sweep(till) == 0


def test_the_sweep_leaves_alone_what_is_pending(till: Till) -> None:
    price_id = till.price(stock=5)
    claimed = till.claim(a_sale(price_id, 3))
    assert sweep(till) == 0
    assert (held_by(till, claimed.id)["state"], till.stock(price_id)) == ("held", 2)


def test_goods_come_back_although_nobody_noted_that_they_were_sold(
    till: Till, settled_by_an_older_worker: Settle
) -> None:
    price_id = till.price(stock=5)
    charge_id = settled_by_an_older_worker(price_id, SUCCEEDED)
    till.settle(till.claim(a_refund(charge_id, restock=True)), SUCCEEDED)
    held = held_by(till, charge_id)
    assert (held["state"], held["restocked"], till.stock(price_id)) == ("sold", 3, 5)
    assert books(till) == []


def test_two_sweeps_at_once_give_back_once(till: Till, settled_by_an_older_worker: Settle) -> None:
    price_id = till.price(stock=5)
    charge_id = settled_by_an_older_worker(price_id, DECLINED)
    with till.database.transaction() as transaction:
        assert sweeps.settle_stock(transaction) == 1
        # What another found a moment ago, and comes to now.
        stock.follow(transaction, {charge_id: State.FAILED})
    assert till.stock(price_id) == 5
