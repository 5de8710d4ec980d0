"""Prices: what they cost never changes, their key is one price's, and no charge loses its price."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from infra.billing.contract.ids import MADE_PREFIXES, is_id
from infra.billing.contract.requests.price_request import PriceChanges
from payments.catalog import price_locks, prices
from payments.catalog.changes import changes
from payments.catalog.price_locks import hold
from payments.lifecycle.accepting import charges
from payments.lifecycle.accepting.charges import Accepted
from payments.payment_errors import PriceInactive, PriceInUse, Refused
from payments.processors.outcomes import Declined
from payments.transaction import Transaction
from tests.support.every import every
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_key,
    a_price,
    a_refund,
    a_sale,
)
from tests.support.refusals import answer_of, refusal, told
from tests.support.threads import at_once
from tests.support.waiting import wait_for

DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")
NOBODY = "price_" + "a" * 32
NO_PRICE = "there is no price with this id or lookup key"
IN_USE = "the price {} has this lookup key; send transfer_lookup_key=true to move it"
MOVE = "make a new price, move the lookup key to it (transfer_lookup_key=true), and archive this"
# What each would be changed to; none of it is what the price is.
OTHER: dict[str, Any] = {
    "unit_amount": "999",
    "currency_id": "cur_eur",
    "product_id": "prod_" + "b" * 32,
    "type": "recurring",
    "recurring": {"interval": "day"},
    "billing_scheme": "tiered",
    "tiers": [{"up_to": "inf", "unit_amount": "1"}],
    "tiers_mode": "volume",
    "transform_quantity": {"divide_by": 2, "round": "up"},
}


def holders(till: Till, key: str) -> list[str]:
    rows = till.query("SELECT id FROM prices WHERE lookup_key = :key", key=key)
    return [row["id"] for row in rows]


def keys_of(till: Till, ids: list[str]) -> list[str]:
    rows = till.query("SELECT lookup_key FROM prices WHERE id = ANY(:ids)", ids=ids)
    return [row["lookup_key"] for row in rows if row["lookup_key"] is not None]


# --- What never changes ---


@every("field", OTHER)
@every("is_used", [True, False], ids=["used", "unused"])
def test_what_a_price_costs_is_locked(till: Till, field: str, is_used: bool) -> None:
    price_id = till.price(stock=5)
    if is_used:
        till.accept(a_sale(price_id))
    before = till.find(price_id)
    refused = refusal(lambda: till.change(price_id, nickname="x", **{field: OTHER[field]}))
    code, param, message = told(refused)
    assert (code, param) == ("price_locked", field)
    assert message.startswith(f"{field} never changes: {MOVE}")
    assert till.find(price_id) == before


def test_the_database_itself_keeps_what_a_charge_was_made_of(till: Till) -> None:
    price_id = till.price(unit_amount="700")
    sold = till.claim(a_sale(price_id, 3))
    till.settle(sold, SUCCEEDED)
    till.change(price_id, nickname="Another", metadata={"a": "1"}, lookup_key=a_key())
    till.archive(price_id)
    row = till.row(sold.id)
    assert (row["amount"], row["currency"], row["price_id"], row["quantity"]) == (
        2100, "USD", price_id, 3,
    )  # fmt: skip
    assert sum(line["amount"] for line in row["lines"]) == 2100


# --- What changes ---


@every("name", [NOBODY, "nobody", "", "prod_" + "a" * 32])
def test_a_price_that_is_not_there_is_neither_changed_nor_archived_nor_deleted(
    till: Till, name: str
) -> None:
    for run in (
        lambda: till.change(name, nickname="x"),
        lambda: till.archive(name),
        lambda: till.delete(name),
        lambda: till.find(name),
    ):
        assert told(refusal(run)) == ("not_found", "id", NO_PRICE)


def test_metadata_is_merged_and_null_unsets(till: Till) -> None:
    price_id = till.price(metadata={"a": "1", "b": "2"}, nickname="Old")
    changed = till.change(price_id, metadata={"a": None, "b": "3", "c": "4", "d": None})
    assert (changed["metadata"], changed["nickname"]) == ({"b": "3", "c": "4"}, "Old")
    assert till.change(price_id, nickname=None)["metadata"] == {"b": "3", "c": "4"}
    assert till.change(price_id, metadata={})["metadata"] == {"b": "3", "c": "4"}


def test_metadata_merged_by_many_at_once_loses_nothing_and_is_told_each_time(till: Till) -> None:
    price_id = till.price(metadata={"there": "before"})
    at_once(8, lambda n: till.change(price_id, metadata={f"of-{n}": str(n)}))
    row = till.find(price_id)
    assert row["metadata"] == {"there": "before", **{f"of-{n}": str(n) for n in range(8)}}
    assert till.events(price_id) == ["price.created"] + ["price.updated"] * 8


def test_metadata_never_has_more_than_fifty_names(till: Till) -> None:
    price_id = till.price(metadata={str(n): "x" for n in range(50)})
    refused = refusal(lambda: till.change(price_id, metadata={"one-more": "x"}))
    assert told(refused) == (
        "invalid_request", "metadata",
        "metadata: with these it would have 51 names, and 50 is the most; unset others with null",
    )  # fmt: skip
    assert len(till.find(price_id)["metadata"]) == 50
    changed = till.change(price_id, metadata={"one-more": "x", "0": None})
    assert len(changed["metadata"]) == 50


def test_a_change_to_what_it_is_already_is_none_and_is_not_told(till: Till) -> None:
    key = a_key()
    price_id = till.price(lookup_key=key, metadata={"a": "1"})
    before = till.find(price_id)
    for fields in (
        {},
        {"active": True, "nickname": None},
        {"metadata": {"a": "1", "b": None}},
        {"lookup_key": key},
        {"lookup_key": key, "transfer_lookup_key": True},
    ):
        till.change(price_id, **fields)
    assert till.find(price_id) == before
    assert till.events(price_id) == ["price.created"]


def test_every_change_is_told_by_its_name(till: Till) -> None:
    price_id = till.price(stock=1)
    till.change(price_id, nickname="x")
    till.archive(price_id)
    till.archive(price_id)
    till.change(price_id, active=True)
    till.change(price_id, active=False, nickname="y")
    till.delete(price_id)
    assert till.events(price_id) == [
        "price.created", "price.updated", "price.archived", "price.updated", "price.archived",
        "price.deleted",
    ]  # fmt: skip


# --- Once per key ---


def test_the_same_request_by_many_at_once_is_one_price(till: Till) -> None:
    request = a_price(till.product(), lookup_key=a_key(), quantity_available=5)

    def make(_: int) -> tuple[str, bool]:
        with till.database.transaction() as transaction:
            row, fresh = prices.create(transaction, request, livemode=False)
            return row.id, fresh

    answers = at_once(8, make)
    assert {id_ for id_, _ in answers} == {request.id}
    assert sorted(fresh for _, fresh in answers) == [False] * 7 + [True]
    assert till.events(request.id) == ["price.created"]


@every(
    "change",
    [{"unit_amount": "999"}, {"currency_id": "cur_eur"}, {"lookup_key": "x"}, {"nickname": "x"},
     {"quantity_available": 1}, {"active": False}, {"recurring": {"interval": "day"}},
     {"metadata": {"a": "1"}}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_another_price_under_the_same_key_is_refused_and_names_the_first(
    till: Till, change: dict[str, Any]
) -> None:
    product_id, key = till.product(), a_key()
    first = till.make(a_price(product_id, idempotency_key=key))
    other = a_price(product_id, idempotency_key=key, **change)
    refused = refusal(lambda: till.make(other))
    assert told(refused) == (
        "idempotency_key_reused", "idempotency_key",
        "This idempotency key belongs to another request; repeat that one, or send a new key.",
    )  # fmt: skip
    assert refused.facts == {"price_id": first["id"]}


def test_a_repeat_is_answered_with_the_price_as_it_is_now(till: Till) -> None:
    request = a_price(till.product(), lookup_key=a_key(), quantity_available=5)
    till.make(request)
    till.accept(a_sale(request.id, 2))
    till.change(request.id, lookup_key=None, active=False)
    again = till.make(request)
    assert (again["id"], again["quantity_available"], again["active"], again["lookup_key"]) == (
        request.id, 3, False, None,
    )  # fmt: skip


def test_the_key_of_a_deleted_price_makes_no_other(till: Till) -> None:
    request = a_price(till.product())
    till.make(request)
    till.delete(request.id)
    assert told(refusal(lambda: till.make(request))) == (
        "idempotency_key_reused", "idempotency_key",
        "the price that was made under this key has been deleted; send a new key",
    )  # fmt: skip
    assert refusal(lambda: till.find(request.id)).code == "not_found"


# --- Lookup keys ---


def test_a_lookup_key_that_is_another_price_s_is_refused_and_says_whose(till: Till) -> None:
    key = a_key()
    old, other = till.price(lookup_key=key), till.price()
    for run in (
        lambda: till.price(lookup_key=key),
        lambda: till.change(other, lookup_key=key),
        lambda: till.change(other, lookup_key=key, transfer_lookup_key=False),
    ):
        refused = refusal(run)
        assert told(refused) == ("lookup_key_in_use", "lookup_key", IN_USE.format(old))
        assert refused.facts == {"price_id": old}
    assert holders(till, key) == [old]


def test_a_transfer_without_a_key_is_refused(till: Till) -> None:
    price_id = till.price(lookup_key=a_key())
    for fields in ({}, {"lookup_key": None}):
        refused = refusal(lambda f=fields: till.change(price_id, transfer_lookup_key=True, **f))
        assert told(refused) == (
            "invalid_request", "transfer_lookup_key",
            "transfer_lookup_key needs the lookup_key that is to move",
        )  # fmt: skip


def test_a_key_that_moves_is_told_of_both_prices(till: Till) -> None:
    key = a_key()
    old = till.price(lookup_key=key)
    new = till.price(lookup_key=key, transfer_lookup_key=True)
    assert holders(till, key) == [new]
    till.change(old, lookup_key=key, transfer_lookup_key=True)
    assert holders(till, key) == [old]
    assert till.events(old) == ["price.created", "price.updated", "price.updated"]
    assert till.events(new) == ["price.created", "price.updated"]


def test_a_transfer_that_is_refused_leaves_the_key_where_it_was(till: Till) -> None:
    key = a_key()
    old = till.price(lookup_key=key)
    product_id = till.product()
    till.archive_product(product_id)
    moving = moved(key)
    assert isinstance(answer_of(lambda: till.price(product_id=product_id, **moving)), Refused)
    full = till.price(metadata={str(n): "x" for n in range(50)})
    assert isinstance(answer_of(lambda: till.change(full, metadata={"x": "x"}, **moving)), Refused)
    assert holders(till, key) == [old]
    assert till.events(old) == ["price.created"]


def test_a_key_that_nobody_has_any_more_is_free(till: Till) -> None:
    key = a_key()
    old = till.price(lookup_key=key)
    till.change(old, lookup_key=None)
    second = till.price(lookup_key=key)
    till.delete(second)
    assert holders(till, key) == []
    assert till.price(lookup_key=key)


def test_of_many_who_take_a_key_at_once_exactly_one_has_it_in_the_end(till: Till) -> None:
    key = a_key()
    ids = [till.price(lookup_key=key), *(till.price() for _ in range(7))]
    moving = moved(key)
    product_id = till.product()

    def take(n: int) -> object:
        if n % 2:
            return till.change(ids[n], **moving)
        return till.price(product_id=product_id, **moving)

    answers = at_once(8, lambda n: answer_of(lambda: take(n)))
    assert [a for a in answers if isinstance(a, Refused)] == []
    (holder,) = holders(till, key)
    made = [a for a in answers if isinstance(a, str)]
    assert holder in {*ids, *made}
    # Each took it from one that had it: as many lost it as took it, and the first.
    lost = [id_ for id_ in (*ids, *made) if id_ != holder]
    assert keys_of(till, lost) == []


def test_of_many_who_take_a_key_that_nobody_has_exactly_one_has_it_in_the_end(till: Till) -> None:
    for _ in range(5):
        key = a_key()
        ids = [till.price() for _ in range(4)]
        moving = moved(key)
        answers = at_once(
            8,
            lambda n, ids=ids, moving=moving: answer_of(
                lambda: till.change(ids[n], **moving) if n < 4 else till.price(**moving)
            ),
        )
        assert [a for a in answers if isinstance(a, Refused)] == []
        assert len(holders(till, key)) == 1


def test_of_many_who_ask_for_a_key_without_taking_it_one_gets_it(till: Till) -> None:
    for _ in range(5):
        key = a_key()
        ids = [till.price() for _ in range(4)]
        answers = at_once(
            8,
            lambda n, ids=ids, key=key: answer_of(
                lambda: (
                    till.change(ids[n], lookup_key=key)["id"]
                    if n < 4
                    else till.price(lookup_key=key)
                )
            ),
        )
        refused = [a for a in answers if isinstance(a, Refused)]
        (holder,) = holders(till, key)
        in_use = ("lookup_key_in_use", "lookup_key", IN_USE.format(holder))
        assert {told(a) for a in refused} == {in_use}
        assert [a for a in answers if isinstance(a, str)] == [holder]


def test_a_transfer_that_is_repeated_by_many_at_once_moves_the_key_once(till: Till) -> None:
    for _ in range(5):
        key = a_key()
        old = till.price(lookup_key=key)
        request = a_price(till.product(), lookup_key=key, transfer_lookup_key=True)
        assert {row["id"] for row in at_once(8, lambda _, r=request: till.make(r))} == {request.id}
        assert holders(till, key) == [request.id]
        assert till.events(old) == ["price.created", "price.updated"]
        assert till.events(request.id) == ["price.created"]


def test_a_repeat_that_waited_for_the_first_one_s_transfer_is_a_repeat(till: Till) -> None:
    key = a_key()
    till.price(lookup_key=key)
    request = a_price(till.product(), lookup_key=key, transfer_lookup_key=True)
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as first:
            prices.create(first, request, livemode=False)
            again = thread.submit(till.make, request)
            till.wait_until_stuck(1)
        assert again.result()["lookup_key"] == key
    assert holders(till, key) == [request.id]
    assert till.events(request.id) == ["price.created"]


def test_who_charges_by_a_key_that_moves_is_charged_by_the_old_or_the_new_price(
    till: Till,
) -> None:
    key = a_key()
    ids = [till.price(lookup_key=key, unit_amount="100"), till.price(unit_amount="200")]
    amounts = dict(zip(ids, (100, 200), strict=True))

    def go(n: int) -> list[object]:
        if n < 2:
            return [till.change(ids[(n + step) % 2], **moved(key)) for step in range(4)]
        return [till.accept(a_sale(key))[0] for _ in range(6)]

    _, _, *charged = at_once(6, go)
    for answer in (one for each in charged for one in each):
        assert isinstance(answer, Accepted), answer
        assert answer.row.amount == amounts[answer.row.price_id]


# --- Archived ---


def test_an_archived_price_takes_no_new_charges_and_what_is_pending_ends(till: Till) -> None:
    price_id = till.price(stock=10)
    sold, declined, unknown = (till.claim(a_sale(price_id, n)) for n in (1, 2, 3))
    queued = a_sale(price_id, 4)
    till.accept(queued)
    till.settle(unknown, TIMEOUT)
    till.archive(price_id)
    for refused in (*till.accept(a_sale(price_id)), *till.create(a_sale(price_id))):
        assert told(refused) == (
            "price_inactive", "price_id", "The price is archived: it takes no new charges.",
        )  # fmt: skip
    till.settle(sold, SUCCEEDED)
    till.settle(declined, DECLINED)
    till.report(unknown.id, SUCCEEDED)
    till.settle(till.claim(queued.id), SUCCEEDED)
    ended = [sold.id, declined.id, unknown.id, queued.id]
    assert [till.stand(id_) for id_ in ended] == ["succeeded", "failed", "succeeded", "succeeded"]
    assert till.stock(price_id) == 2
    refund = till.claim(a_refund(sold.id, restock=True))
    till.settle(refund, SUCCEEDED)
    assert till.stock(price_id) == 3
    till.change(price_id, active=True)
    assert isinstance(till.accept(a_sale(price_id, 3))[0], Accepted)


def test_a_price_that_many_archive_at_once_is_archived_and_told_once(till: Till) -> None:
    price_id = till.price()
    assert {row["active"] for row in at_once(6, lambda _: till.archive(price_id))} == {False}
    assert till.events(price_id) == ["price.created", "price.archived"]


def test_a_charge_that_was_accepted_is_repeated_though_its_price_is_archived(till: Till) -> None:
    price_id = till.price(stock=1)
    request = a_sale(price_id)
    (first,), _ = till.accept(request), till.archive(price_id)
    (again,) = till.accept(request)
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.row.id, again.fresh) == (first.row.id, False)


def test_who_charges_while_a_price_with_stock_is_archived_is_refused(till: Till) -> None:
    price_id = till.price(stock=5)
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as archiving:
            prices.archive(archiving, price_id)
            charging = thread.submit(till.accept, a_sale(price_id))
            till.wait_until_stuck(1)
        (refused,) = charging.result()
        assert isinstance(refused, PriceInactive)
    assert till.stock(price_id) == 5


def test_who_archives_a_price_without_limit_waits_for_no_sale_and_holds_up_none(till: Till) -> None:
    price_id, key = till.price(), a_key()
    with till.database.transaction() as selling, ThreadPoolExecutor(1) as thread:
        charges.accept(selling, [charges.NewCharge(a_sale(price_id), "sandbox")])
        # Neither an archive nor a key that moves waits for a moment in which nobody sells.
        thread.submit(till.change, price_id, lookup_key=key).result()
        thread.submit(till.archive, price_id).result()
        (refused,) = thread.submit(till.accept, a_sale(price_id)).result()
        assert isinstance(refused, PriceInactive)
    with till.database.transaction() as changing, ThreadPoolExecutor(1) as thread:
        prices.change(changing, price_id, changes(PriceChanges, {"active": True}))
        # It comes after whoever asks now.
        (early,) = thread.submit(till.accept, a_sale(key)).result()
        assert isinstance(early, PriceInactive)
    assert isinstance(till.accept(a_sale(key))[0], Accepted)


# --- Deleted ---


@every("stock", [5, None], ids=["counted", "unlimited"])
@every("found", [SUCCEEDED, DECLINED, TIMEOUT, None], ids=repr)
def test_a_price_that_something_was_charged_by_is_never_deleted(
    till: Till, found: Any, stock: int | None
) -> None:
    price_id = till.price(stock=stock)
    charge = till.claim(a_sale(price_id))
    if found is not None:
        till.settle(charge, found)
    till.archive(price_id)
    refused = refusal(lambda: till.delete(price_id))
    assert told(refused) == (
        "price_in_use", "id",
        "Something was charged by this price, so it can't be deleted; archive it instead.",
    )  # fmt: skip
    assert till.find(price_id)["id"] == price_id
    assert "price.deleted" not in till.events(price_id)


def test_a_price_that_was_asked_for_in_vain_is_deleted(till: Till) -> None:
    price_id = till.price(stock=1)
    (refused,) = till.accept(a_sale(price_id, 2))
    assert isinstance(refused, Refused)
    assert till.delete(price_id)["id"] == price_id
    assert refusal(lambda: till.delete(price_id)).code == "not_found"
    assert told(till.accept(a_sale(price_id))[0]) == ("invalid_request", "price_id", NO_PRICE)


@pytest.mark.parametrize("stock", [5, None], ids=["counted", "unlimited"])
def test_who_charges_while_a_price_is_deleted_is_told_that_there_is_none(
    till: Till, stock: int | None
) -> None:
    key = a_key()
    price_id = till.price(stock=stock, lookup_key=key)
    sales = [a_sale(price_id), a_sale(key)]
    with ThreadPoolExecutor(2) as threads:
        with till.database.transaction() as deleting:
            prices.delete(deleting, price_id)
            charging = [threads.submit(till.accept, sale) for sale in sales]
            till.wait_until_stuck(2)
        for one in charging:
            assert told(one.result()[0]) == ("invalid_request", "price_id", NO_PRICE)
    assert till.rows(sale.id for sale in sales) == {}


@pytest.mark.parametrize("stock", [5, None], ids=["counted", "unlimited"])
def test_who_deletes_a_price_while_something_is_charged_by_it_is_told_so(
    till: Till, stock: int | None
) -> None:
    price_id = till.price(stock=stock)
    sale = a_sale(price_id)
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as charging:
            (accepted,) = charges.accept(charging, [charges.NewCharge(sale, "sandbox")])
            deleting = thread.submit(refusal, lambda: till.delete(price_id))
            till.wait_until_stuck(1)
        assert isinstance(accepted, Accepted)
        assert isinstance(deleting.result(), PriceInUse)
    assert till.row(sale.id)["price_id"] == till.find(price_id)["id"]


@pytest.mark.parametrize("stock", [100, None], ids=["counted", "unlimited"])
def test_no_charge_is_ever_left_without_its_price(till: Till, stock: int | None) -> None:
    for _ in range(15):
        price_id = till.price(stock=stock)
        sales = [a_sale(price_id) for _ in range(3)]
        at_once(
            4,
            lambda n, sales=sales, price_id=price_id: answer_of(
                lambda: till.accept(sales[n - 1]) if n else till.delete(price_id)
            ),
        )
        is_there = bool(till.query("SELECT 1 FROM prices WHERE id = :id", id=price_id))
        assert len(till.rows(sale.id for sale in sales)) == (3 if is_there else 0)


# --- In a circle ---


@pytest.mark.parametrize("stocks", [(5, None), (None, 5), (5, 5), (None, None)], ids=repr)
def test_who_moves_a_key_waits_in_no_circle_with_who_sells_by_both_prices(
    till: Till, stocks: tuple[int | None, int | None]
) -> None:
    low, high = sorted_prices(till, *stocks)
    key = a_key()
    till.change(high, lookup_key=key)
    with ThreadPoolExecutor(2) as threads:
        with till.database.transaction() as first:
            hold(first, low)
            moving = threads.submit(till.change, low, **moved(key))
            till.wait_until_stuck(1)
            selling = threads.submit(till.accept, a_sale(low), a_sale(high))
            # What is sold without limit waits for nobody who moves a key.
            wait_for(
                lambda: selling.done() or till.stuck() == 2,
                what="the sale, or its wait",
                every_s=0.005,
            )
        assert moving.result()["lookup_key"] == key
        assert all(isinstance(one, Accepted) for one in selling.result())


def test_who_follows_a_key_that_has_moved_waits_in_no_circle_with_who_sells_by_both_prices(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = sorted_prices(till, 5, 5)
    key, looked_up = a_key(), count(1)
    till.change(high, lookup_key=key)
    with ThreadPoolExecutor(1) as thread:
        selling = Future[Any]()

        def ids_of(transaction: Transaction, names: set[str]) -> dict[str, str]:
            """As ever; but the key moves after the first look, and both are sold from before the
            second."""
            nonlocal selling
            turn = next(looked_up) if names == {key} else 0
            if turn == 2:
                selling = thread.submit(till.accept, a_sale(low), a_sale(high))
                wait_for(
                    lambda: selling.done() or till.stuck() == 1,
                    what="the sale, or its wait",
                    every_s=0.005,
                )
            ids = as_ever(transaction, names)
            if turn == 1:
                thread.submit(till.change, low, **moved(key)).result()
            return ids

        as_ever = price_locks._ids
        monkeypatch.setattr(price_locks, "_ids", ids_of)
        (followed,) = till.accept(a_sale(key))
        assert all(isinstance(one, Accepted) for one in selling.result())
    assert isinstance(followed, Accepted), followed
    assert followed.row.price_id == low
    assert (till.stock(low), till.stock(high)) == (3, 4)


def sorted_prices(till: Till, *stocks: int | None) -> list[str]:
    """Prices with these stocks whose ids are in this order."""
    product_id = till.product()
    ids: list[str] = []
    for stock in stocks:
        request = a_price(product_id, quantity_available=stock)
        while ids and request.id < ids[-1]:
            request = a_price(product_id, quantity_available=stock)
        ids.append(till.make(request)["id"])
    assert all(is_id(id_, MADE_PREFIXES["price"]) for id_ in ids)
    return ids


def moved(key: str) -> dict[str, Any]:
    return {"lookup_key": key, "transfer_lookup_key": True}
