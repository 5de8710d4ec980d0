"""Products: made once per key, archived with all they have, deleted while they have no prices."""

from concurrent.futures import ThreadPoolExecutor

from payments.catalog import prices, products
from payments.lifecycle.accepting.charges import Accepted
from payments.payment_errors import ProductInactive, ProductInUse
from tests.support.every import every
from tests.support.factories import SUCCEEDED, Till, a_price, a_product, a_sale
from tests.support.refusals import answer_of, refusal, told
from tests.support.threads import at_once

NOBODY = "prod_" + "a" * 32


def test_the_same_request_by_many_at_once_is_one_product(till: Till) -> None:
    request = a_product(metadata={"shelf": "7"})

    def make(_: int) -> tuple[str, bool]:
        with till.database.transaction() as transaction:
            row, fresh = products.create(transaction, request, livemode=False)
            return row.id, fresh

    answers = at_once(8, make)
    assert {id_ for id_, _ in answers} == {request.id}
    assert sorted(fresh for _, fresh in answers) == [False] * 7 + [True]


def test_nothing_was_changed_before_it_was_made(till: Till) -> None:
    till.price()
    made = [
        row
        for table in ("products", "prices")
        for row in till.query(f"SELECT created_at, updated_at FROM {table}")
    ]
    assert len(made) >= 2
    assert all(row["created_at"] <= row["updated_at"] for row in made)


def test_another_product_under_the_same_key_is_refused_and_names_the_first(till: Till) -> None:
    first = a_product()
    till.product(idempotency_key=first.idempotency_key)
    for change in ({"name": "Coffee"}, {"description": "Hot"}, {"active": False}):
        refused = refusal(lambda c=change: till.product(idempotency_key=first.idempotency_key, **c))
        assert told(refused) == (
            "idempotency_key_reused", "idempotency_key",
            "This idempotency key belongs to another request; repeat that one, or send a new key.",
        )  # fmt: skip
        assert refused.facts == {"product_id": first.id}


def test_the_same_key_of_another_producer_is_another_product(till: Till) -> None:
    first = a_product()
    ids = {till.product(idempotency_key=first.idempotency_key, producer=p) for p in ("a", "b")}
    assert len(ids) == 2


@every("id_", [NOBODY, "tea", "", "price_" + "a" * 32, "prod_", "prod_\x00"])
def test_a_product_that_is_not_there_is_neither_changed_nor_archived_nor_deleted(
    till: Till, id_: str
) -> None:
    for run in (
        lambda: till.change_product(id_, name="Coffee"),
        lambda: till.archive_product(id_),
        lambda: till.delete_product(id_),
    ):
        assert told(refusal(run)) == ("not_found", "id", "there is no product with this id")


def test_what_was_sent_changes_and_the_rest_stays(till: Till) -> None:
    product_id = till.product(description="Green", metadata={"a": "1", "b": "2"})
    changed = till.change_product(product_id, metadata={"a": None, "b": "3", "c": "4", "d": None})
    assert (changed["name"], changed["description"]) == ("Tea", "Green")
    assert changed["metadata"] == {"b": "3", "c": "4"}
    changed = till.change_product(product_id, description=None, active=False)
    assert (changed["description"], changed["active"]) == (None, False)
    assert changed["metadata"] == {"b": "3", "c": "4"}


def test_a_change_to_what_it_is_already_changes_nothing(till: Till) -> None:
    product_id = till.product(metadata={"a": "1"})
    changed = till.change_product(product_id, name="Coffee")
    for fields in ({}, {"name": "Coffee"}, {"metadata": {"a": "1", "b": None}}, {"active": True}):
        same = till.change_product(product_id, **fields)
        assert same["updated_at"] == changed["updated_at"]
    assert till.archive_product(product_id)["updated_at"] > changed["updated_at"]


def test_metadata_merged_by_many_at_once_loses_nothing(till: Till) -> None:
    product_id = till.product(metadata={"there": "before"})
    at_once(8, lambda n: till.change_product(product_id, metadata={f"of-{n}": str(n)}))
    (row,) = till.query("SELECT metadata FROM products WHERE id = :id", id=product_id)
    assert row["metadata"] == {"there": "before", **{f"of-{n}": str(n) for n in range(8)}}


def test_an_archived_product_gets_no_prices_and_its_prices_take_no_charges(till: Till) -> None:
    price_id = till.price(stock=5)
    product_id = till.find(price_id)["product_id"]
    pending = till.claim(a_sale(price_id, 2))
    till.archive_product(product_id)
    refused = refusal(lambda: till.price(product_id=product_id))
    assert isinstance(refused, ProductInactive)
    assert told(refused) == (
        "product_inactive", "product_id",
        "the product is archived; make it active before it gets new prices",
    )  # fmt: skip
    (no_charge,) = till.accept(a_sale(price_id))
    assert told(no_charge) == (
        "product_inactive", "price_id",
        "The product is archived: its prices take no new charges, and it gets no new prices.",
    )  # fmt: skip
    assert till.settle(pending, SUCCEEDED)["state"] == "succeeded"
    assert (till.stock(price_id), till.reservation(pending.id)) == (3, ("sold", 2, 0))
    till.change_product(product_id, active=True)
    assert till.claim(a_sale(price_id, 3))
    assert till.price(product_id=product_id)


def test_a_price_that_was_made_already_is_still_the_answer_when_its_product_is_archived(
    till: Till,
) -> None:
    request = a_price(till.product())
    made = till.make(request)
    till.archive_product(request.product_id)
    assert till.make(request)["id"] == made["id"]


def test_a_product_with_prices_is_not_deleted(till: Till) -> None:
    price_id = till.price()
    product_id = till.find(price_id)["product_id"]
    refused = refusal(lambda: till.delete_product(product_id))
    assert isinstance(refused, ProductInUse)
    assert told(refused) == (
        "product_in_use", "id",
        "The product has prices, so it can't be deleted; archive it instead.",
    )  # fmt: skip
    till.archive(price_id)
    assert isinstance(refusal(lambda: till.delete_product(product_id)), ProductInUse)
    till.delete(price_id)
    assert till.delete_product(product_id)["id"] == product_id
    assert refusal(lambda: till.delete_product(product_id)).code == "not_found"


def test_a_product_is_deleted_or_gets_its_first_price_and_never_both(till: Till) -> None:
    for _ in range(10):
        request = a_price(till.product())
        at_once(
            2,
            lambda n, r=request: answer_of(
                (lambda: till.make(r)) if n else (lambda: till.delete_product(r.product_id))
            ),
        )
        there = till.query("SELECT id FROM products WHERE id = :id", id=request.product_id)
        made = till.query("SELECT id FROM prices WHERE id = :id", id=request.id)
        assert len(there) == len(made)


def test_who_makes_a_price_while_its_product_is_deleted_is_told_that_there_is_none(
    till: Till,
) -> None:
    request = a_price(till.product())
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as deleting:
            products.delete(deleting, request.product_id)
            making = thread.submit(refusal, lambda: till.make(request))
            till.wait_until_stuck(1)
        assert told(making.result()) == (
            "invalid_request", "product_id", "there is no product with this id",
        )  # fmt: skip


def test_who_deletes_a_product_while_it_gets_a_price_is_told_that_it_is_in_use(till: Till) -> None:
    request = a_price(till.product())
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as making:
            prices.create(making, request, livemode=False)
            deleting = thread.submit(refusal, lambda: till.delete_product(request.product_id))
            till.wait_until_stuck(1)
        assert isinstance(deleting.result(), ProductInUse)


def test_who_charges_while_a_product_is_archived_comes_before_or_after(till: Till) -> None:
    price_id = till.price(stock=5)
    with ThreadPoolExecutor(1) as thread:
        with till.database.transaction() as archiving:
            products.archive(archiving, till.find(price_id)["product_id"])
            (sold,) = thread.submit(till.accept, a_sale(price_id)).result()
            assert isinstance(sold, Accepted)
        (refused,) = till.accept(a_sale(price_id))
        assert isinstance(refused, ProductInactive)
    assert till.stock(price_id) == 4
