"""Stock that is counted by hand: once per key, never below nothing, and never in vain."""

from typing import Any

import pytest

from infra.billing.contract.limits import QUANTITY_MAX
from infra.billing.contract.requests.inventory_request import InventoryRequest
from payments.audit.stocktaking import STOCK
from payments.audit.verify import verify
from payments.catalog import inventory
from payments.payment_errors import InsufficientInventory, InventoryUnlimited, KeyReused, Refused
from payments.processors.outcomes import Declined
from tests.support.every import every
from tests.support.factories import SUCCEEDED, Till, a_count, a_key, a_sale
from tests.support.refusals import answer_of, refusal, told
from tests.support.threads import at_once

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")


def counted(till: Till, price: str, request: InventoryRequest) -> tuple[int, bool]:
    """What is left, and whether anything changed."""
    with till.database.transaction() as transaction:
        row, _, changed = inventory.adjust(transaction, price, request)
        return row.quantity_available, changed


def history(till: Till, price_id: str) -> list[tuple[int, int]]:
    """By how much it was changed, and how many there were then."""
    rows = till.query(
        "SELECT * FROM inventory_changes WHERE price_id = :id ORDER BY created_at", id=price_id
    )
    return [(row["change"], row["available_after"]) for row in rows]


def assert_the_books_are_right(till: Till) -> None:
    findings = verify(till.engine, statements={}, invariants=STOCK)
    assert [one.view() for one in findings if not one.is_kept] == []


def test_stock_is_counted_up_and_down_and_each_change_is_kept_and_told(till: Till) -> None:
    key = a_key()
    price_id = till.price(stock=3, lookup_key=key)
    assert till.count(price_id, a_count(4))["quantity_available"] == 7
    assert till.count(key, a_count(7, "decrement"))["quantity_available"] == 0
    assert till.count(key, a_count(1))["quantity_available"] == 1
    assert history(till, price_id) == [(4, 7), (-7, 0), (1, 1)]
    assert till.events(price_id) == ["price.created"] + ["price.inventory_changed"] * 3
    assert_the_books_are_right(till)


@pytest.mark.parametrize(
    ("stock", "quantity"), [(0, 1), (3, 4), (3, QUANTITY_MAX), (QUANTITY_MAX - 1, QUANTITY_MAX)]
)
def test_less_than_nothing_is_refused_with_what_is_there_and_what_was_asked_for(
    till: Till, stock: int, quantity: int
) -> None:
    price_id = till.price(stock=stock)
    before = till.find(price_id)
    request = a_count(quantity, "decrement")
    refused = refusal(lambda: till.count(price_id, request))
    assert isinstance(refused, InsufficientInventory)
    assert told(refused) == (
        "insufficient_inventory", "quantity",
        f"{stock} are left, and {quantity} were asked for; ask for no more than there are",
    )  # fmt: skip
    assert refused.facts == {"available": stock, "requested": quantity}
    assert till.find(price_id) == before
    assert (history(till, price_id), till.events(price_id)) == ([], ["price.created"])
    # What was refused was not done under its key: it may be asked for again.
    till.count(price_id, a_count(min(quantity, QUANTITY_MAX - stock)))
    if stock + quantity <= QUANTITY_MAX:
        assert counted(till, price_id, request) == (stock, True)


def test_what_charges_hold_can_not_be_counted_down(till: Till) -> None:
    price_id = till.price(stock=5)
    till.accept(a_sale(price_id, 3))
    refused = refusal(lambda: till.count(price_id, a_count(3, "decrement")))
    assert refused.facts == {"available": 2, "requested": 3}
    assert till.count(price_id, a_count(2, "decrement"))["quantity_available"] == 0
    assert_the_books_are_right(till)


def test_a_price_that_is_not_there_is_not_counted(till: Till) -> None:
    for name in ("price_" + "a" * 32, "nobody's"):
        assert told(refusal(lambda n=name: till.count(n, a_count(1)))) == (
            "not_found", "id", "there is no price with this id or lookup key",
        )  # fmt: skip


def test_an_archived_price_is_counted_all_the_same(till: Till) -> None:
    price_id = till.price(stock=3)
    till.archive(price_id)
    assert till.count(price_id, a_count(2))["quantity_available"] == 5


# --- Once per key ---


@pytest.mark.parametrize("action", ["increment", "decrement"])
def test_one_key_by_many_at_once_counts_once(till: Till, action: str) -> None:
    price_id, request = till.price(stock=10), a_count(4, action)
    answers = at_once(10, lambda _: counted(till, price_id, request))
    left = 14 if action == "increment" else 6
    assert {available for available, _ in answers} == {left}
    assert sorted(changed for _, changed in answers) == [False] * 9 + [True]
    assert till.stock(price_id) == left
    assert len(history(till, price_id)) == 1
    assert till.events(price_id) == ["price.created", "price.inventory_changed"]


def test_a_repeat_after_all_is_gone_is_a_repeat_and_no_refusal(till: Till) -> None:
    price_id, request = till.price(stock=4), a_count(4, "decrement")
    assert counted(till, price_id, request) == (0, True)
    assert counted(till, price_id, request) == (0, False)
    till.count(price_id, a_count(9))
    assert counted(till, price_id, request) == (9, False)


@pytest.mark.parametrize(
    "change", [{"quantity": 5}, {"action": "decrement"}], ids=["quantity", "action"]
)
def test_a_key_with_another_content_is_refused(till: Till, change: dict[str, Any]) -> None:
    price_id, first = till.price(stock=10), a_count(4)
    till.count(price_id, first)
    fields = {"quantity": 4, "action": "increment", "idempotency_key": first.idempotency_key}
    refused = refusal(lambda: till.count(price_id, a_count(**{**fields, **change})))
    assert isinstance(refused, KeyReused)
    assert told(refused) == (
        "idempotency_key_reused", "idempotency_key",
        "This idempotency key belongs to another request; repeat that one, or send a new key.",
    )  # fmt: skip
    assert till.stock(price_id) == 14


def test_of_many_prices_that_one_key_is_used_for_at_once_one_is_counted(till: Till) -> None:
    ids, request = [till.price(stock=10) for _ in range(6)], a_count(4)
    answers = at_once(6, lambda n: answer_of(lambda: counted(till, ids[n], request)))
    assert [a for a in answers if not isinstance(a, Refused)] == [(14, True)]
    assert all(isinstance(a, (KeyReused, tuple)) for a in answers)
    assert sorted(till.stock(id_) or 0 for id_ in ids) == [10] * 5 + [14]
    assert_the_books_are_right(till)


def test_a_repeat_is_one_whatever_has_become_of_the_lookup_key(till: Till) -> None:
    key, request = a_key(), a_count(4)
    old = till.price(stock=10, lookup_key=key)
    till.count(key, request)
    assert counted(till, key, request) == (14, False)
    new = till.price(stock=10, lookup_key=key, transfer_lookup_key=True)
    assert till.count(key, request)["id"] == old
    # As with charges, another name is another request.
    assert isinstance(refusal(lambda: till.count(old, request)), KeyReused)
    assert (till.stock(old), till.stock(new)) == (14, 10)


def test_the_same_key_of_another_producer_is_another_change(till: Till) -> None:
    price_id, first = till.price(stock=0), a_count(1)
    till.count(price_id, first)
    other = a_count(1, idempotency_key=first.idempotency_key, producer="other")
    assert counted(till, price_id, other) == (2, True)


def test_many_changes_at_once_are_all_counted(till: Till) -> None:
    price_id = till.price(stock=100)
    at_once(10, lambda n: till.count(price_id, a_count(n + 1, ("increment", "decrement")[n % 2])))
    assert till.stock(price_id) == 100 + sum(n + 1 if n % 2 == 0 else -n - 1 for n in range(10))
    # Each stands on the one before, so none has read what another was about to change.
    rows = till.query(
        "SELECT available_after - change AS before, available_after AS after"
        " FROM inventory_changes WHERE price_id = :id", id=price_id,
    )  # fmt: skip
    ends = sorted([100, *(row["after"] for row in rows)])
    assert ends == sorted([till.stock(price_id), *(row["before"] for row in rows)])


def test_of_many_who_count_down_at_once_as_many_are_served_as_there_are(till: Till) -> None:
    price_id = till.price(stock=7)
    answers = at_once(
        10, lambda _: answer_of(lambda: till.count(price_id, a_count(2, "decrement")))
    )
    refused = [a for a in answers if isinstance(a, InsufficientInventory)]
    assert len(refused) == 7
    assert {tuple(a.facts.items()) for a in refused} == {(("available", 1), ("requested", 2))}
    assert till.stock(price_id) == 1


# --- Without limit ---


def test_what_has_no_limit_is_not_counted(till: Till) -> None:
    price_id = till.price()
    for action in ("increment", "decrement"):
        refused = refusal(lambda a=action: till.count(price_id, a_count(1, a)))
        assert isinstance(refused, InventoryUnlimited)
        assert told(refused) == (
            "inventory_unlimited", "quantity",
            "The price has no limit, so there is nothing to count.",
        )  # fmt: skip
    assert (till.stock(price_id), history(till, price_id)) == (None, [])


@every("stock", [None, 3])
@every("quantity", [None, 0, 5])
def test_stock_is_never_set_and_no_limit_is_for_ever(
    till: Till, stock: int | None, quantity: int | None
) -> None:
    price_id = till.price(stock=stock)
    refused = refusal(lambda: till.change(price_id, quantity_available=quantity))
    assert told(refused) == (
        "invalid_request", "quantity_available",
        "quantity_available is counted, not set: send quantity and action to /inventory",
    )  # fmt: skip
    assert till.stock(price_id) == stock


def test_what_has_no_limit_is_sold_and_holds_nothing(till: Till) -> None:
    price_id = till.price()
    for found in (SUCCEEDED, DECLINED):
        charge = till.claim(a_sale(price_id, 10**9))
        till.settle(charge, found)
        assert till.reservation(charge.id) is None
    assert till.stock(price_id) is None
    assert till.events(price_id) == ["price.created"]


# --- Bounds ---


def test_there_may_be_as_many_as_can_be_counted_and_no_more(till: Till) -> None:
    price_id = till.price(stock=QUANTITY_MAX)
    refused = refusal(lambda: till.count(price_id, a_count(1)))
    assert told(refused) == (
        "invalid_request", "quantity",
        f"quantity: there are {QUANTITY_MAX}; with so many more it would be past {QUANTITY_MAX}",
    )  # fmt: skip
    assert till.stock(price_id) == QUANTITY_MAX
    assert till.count(price_id, a_count(QUANTITY_MAX, "decrement"))["quantity_available"] == 0
    assert till.count(price_id, a_count(QUANTITY_MAX))["quantity_available"] == QUANTITY_MAX


def test_what_comes_back_of_a_charge_comes_back_though_the_shelf_was_filled_up_meanwhile(
    till: Till,
) -> None:
    price_id = till.price(stock=QUANTITY_MAX)
    charge = till.claim(a_sale(price_id, 5))
    till.count(price_id, a_count(5))
    till.settle(charge, DECLINED)
    assert till.stock(price_id) == QUANTITY_MAX + 5
    # Past the bound there is a way back down, and none up.
    assert refusal(lambda: till.count(price_id, a_count(1))).code == "invalid_request"
    assert till.count(price_id, a_count(2, "decrement"))["quantity_available"] == QUANTITY_MAX + 3
    assert till.count(price_id, a_count(3, "decrement"))["quantity_available"] == QUANTITY_MAX
    assert_the_books_are_right(till)
