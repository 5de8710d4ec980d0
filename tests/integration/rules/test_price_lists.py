"""Lists of prices and products: every page in its place, and together each of them once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product as every_combination
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from infra.billing.contract.limits import PAGE_MAX
from payments.catalog import listing
from payments.catalog.listing import PAGE_SIZE, Listing
from payments.payment_errors import InvalidRequest
from tests.support.every import every
from tests.support.factories import Till, a_key, a_price
from tests.support.refusals import refusal, told

CURRENCY = "currency_id must be cur_ and an ISO 4217 code in lower case, like cur_usd"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COUNT = 24
TYPES, ACTIVE, CURRENCIES = ("one_time", "recurring"), (True, False), ("cur_usd", "cur_eur")


class Shelf:
    """The prices of one product, of which many were made at the same moment."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.product_id = till.product()
        for n in range(COUNT):
            self.make(
                moment=n // 8,
                active=ACTIVE[n % 2],
                currency_id=CURRENCIES[n // 2 % 2],
                recurring={"interval": "day"} if n // 4 % 2 else None,
                lookup_key=a_key() if n % 5 == 0 else None,
            )

    def make(self, moment: int, **changes: Any) -> str:
        """A price that was made so many seconds after noon."""
        given = {name: value for name, value in changes.items() if value is not None}
        id_ = str(self.till.make(a_price(self.product_id, **given))["id"])
        self.till.put("UPDATE prices SET created_at = :at WHERE id = :id",
                      at=NOON + timedelta(seconds=moment), id=id_)  # fmt: skip
        return id_

    def page(self, filters: Mapping[str, Any] | None = None, **query: Any) -> Listing:
        with self.till.engine.connect() as connection:
            filters = {"product_id": self.product_id, **(filters or {})}
            return listing.page(connection, "price", filters=filters, **query)

    def expected(self, order: str, **filters: Any) -> list[str]:
        """The ids that a list has to show, computed here."""
        rows = self.till.query("SELECT * FROM prices WHERE product_id = :id", id=self.product_id)
        wanted = dict(filters)
        if "currency_id" in wanted:
            wanted["currency"] = wanted.pop("currency_id").removeprefix("cur_").upper()
        kept = [row for row in rows if all(row[name] == wanted[name] for name in wanted)]
        kept.sort(key=lambda row: (row["created_at"], row["id"]), reverse=order == "desc")
        return [row["id"] for row in kept]

    def numbered(self, size: int, order: Any, **filters: Any) -> list[str]:
        """All pages by their numbers, one after the other, until one is empty."""
        found: list[str] = []
        count = len(self.expected(order, **filters))
        for number in range(1, count + 3):
            one = self.page(filters, page=number, page_size=size, order=order)
            assert one.count == count
            left = count - (number - 1) * size
            assert len(one.views) == max(0, min(size, left))
            assert (one.next_cursor is not None) == (left > size)
            found += ids(one)
        return found

    def by_cursor(self, size: int, order: Any, **filters: Any) -> list[str]:
        """All pages by the cursors of those before."""
        found, cursor = list[str](), None
        while True:
            one = self.page(filters, page_size=size, order=order, cursor=cursor)
            found += ids(one)
            cursor = one.next_cursor
            if cursor is None:
                return found
            assert len(one.views) == size
            assert len(found) < COUNT  # or it would go on for ever


def ids(page: Listing) -> list[str]:
    return [view["id"] for view in page.views]


@pytest.fixture(scope="module")
def shelf(shared_engine: Engine) -> Shelf:
    """It is only read, so one is enough."""
    return Shelf(Till(shared_engine))


@pytest.fixture
def own_shelf(till: Till) -> Shelf:
    """One to put more onto."""
    return Shelf(till)


@every("order", ["asc", "desc"])
@every("size", [1, 3, 8, COUNT - 1, COUNT, COUNT + 1, 100])
def test_pages_show_each_price_once_and_in_order(shelf: Shelf, size: int, order: str) -> None:
    expected = shelf.expected(order)
    assert len(set(expected)) == COUNT
    assert shelf.numbered(size, order) == expected
    assert shelf.by_cursor(size, order) == expected


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "active": st.booleans(),
        "type": st.sampled_from(TYPES),
        "currency_id": st.sampled_from(CURRENCIES),
    },
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(size=st.integers(1, 30), order=st.sampled_from(["asc", "desc"]), filters=FILTERS)
def test_pages_of_what_is_filtered_show_it_each_once_and_in_order(
    shelf: Shelf, size: int, order: str, filters: dict[str, Any]
) -> None:
    expected = shelf.expected(order, **filters)
    assert shelf.numbered(size, order, **filters) == expected
    assert shelf.by_cursor(size, order, **filters) == expected


@every(
    "active, type_, currency_id",
    list(every_combination((None, *ACTIVE), (None, *TYPES), (None, *CURRENCIES))),
)
def test_filters_narrow_down_alone_and_together(
    shelf: Shelf, active: bool | None, type_: str | None, currency_id: str | None
) -> None:
    given = {"active": active, "type": type_, "currency_id": currency_id}
    set_ = {name: value for name, value in given.items() if value is not None}
    found = shelf.page(given, page_size=100)
    assert ids(found) == shelf.expected("desc", **set_)
    assert found.count == len(found.views) == COUNT // 2 ** len(set_)
    for view in found.views:
        assert {name: view[name] for name in set_} == set_


def test_a_lookup_key_finds_its_price_and_no_other(shelf: Shelf) -> None:
    for view in shelf.page(page_size=100).views:
        if view["lookup_key"] is not None:
            assert ids(shelf.page({"lookup_key": view["lookup_key"]})) == [view["id"]]
            other = shelf.page({"lookup_key": view["lookup_key"], "active": not view["active"]})
            assert (other.count, other.views, other.next_cursor) == (0, [], None)
    assert shelf.page({"lookup_key": "nobody's"}).count == 0


def test_products_do_not_show_each_other_s_prices(shelf: Shelf, till: Till) -> None:
    other = Shelf.__new__(Shelf)
    other.till, other.product_id = till, till.product()
    made = other.make(0)
    assert ids(other.page()) == [made]
    assert made not in ids(shelf.page(page_size=100))


def test_twenty_are_shown_unless_it_is_said_otherwise(shelf: Shelf) -> None:
    first = shelf.page()
    assert (PAGE_SIZE, ids(first)) == (20, shelf.expected("desc")[:20])


def test_a_page_behind_the_last_is_empty_and_knows_how_many_there_are(shelf: Shelf) -> None:
    for number in (3, 1000, PAGE_MAX):
        found = shelf.page(page=number)
        assert (found.count, found.views, found.next_cursor) == (COUNT, [], None)


def test_every_price_of_a_list_has_its_product_and_its_currency(shelf: Shelf) -> None:
    for view in shelf.page(page_size=100).views:
        assert view["product"]["id"] == shelf.product_id
        assert view["currency"]["id"] == view["currency_id"]


# --- While prices are made ---


@pytest.mark.parametrize("size", [1, 5, 8])
def test_what_is_new_between_two_pages_neither_repeats_nor_hides_what_was_there(
    own_shelf: Shelf, size: int
) -> None:
    there = own_shelf.expected("desc")
    found, cursor = list[str](), None
    for moment in range(3, 100):
        one = own_shelf.page(page_size=size, cursor=cursor)
        found += ids(one)
        if (cursor := one.next_cursor) is None:
            break
        # After all that there was, and at the very moment at which the page ended.
        own_shelf.make(moment)
    assert found == there


@pytest.mark.parametrize("size", [1, 5, 8])
def test_from_the_oldest_on_what_is_new_between_two_pages_comes_last(
    own_shelf: Shelf, size: int
) -> None:
    there, made = own_shelf.expected("asc"), list[str]()
    found, cursor = list[str](), None
    for moment in range(3, 100):
        one = own_shelf.page(page_size=size, order="asc", cursor=cursor)
        found += ids(one)
        if (cursor := one.next_cursor) is None:
            break
        if len(made) < 4:
            made.append(own_shelf.make(moment))
    assert found == there + made


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_comes_in_at_the_moment_at_which_a_page_ended_hides_nothing(
    own_shelf: Shelf, order: Any
) -> None:
    there = own_shelf.expected(order)
    found, cursor = list[str](), None
    while True:
        one = own_shelf.page(page_size=5, order=order, cursor=cursor)
        found += ids(one)
        if (cursor := one.next_cursor) is None:
            break
        ended = datetime.fromisoformat(one.views[-1]["created_at"])
        if own_shelf.page().count < COUNT + 5:
            own_shelf.make(int((ended - NOON).total_seconds()))
    assert len(found) == len(set(found))
    assert [id_ for id_ in found if id_ in set(there)] == there


def test_what_is_deleted_between_two_pages_hides_nothing_else(own_shelf: Shelf) -> None:
    there = own_shelf.expected("desc")
    first = own_shelf.page(page_size=10)
    # The last of the page, at which the cursor stands, and one that is still to come.
    own_shelf.till.delete(there[9])
    own_shelf.till.delete(there[12])
    second = own_shelf.page(page_size=100, cursor=first.next_cursor)
    assert ids(first) + ids(second) == [id_ for n, id_ in enumerate(there) if n != 12]


def test_a_cursor_goes_with_the_list_that_it_came_with(shelf: Shelf) -> None:
    first = shelf.page(page_size=10)
    for other in ({"order": "asc"}, {"filters": {"active": True}}):
        told = refusal(lambda other=other: shelf.page(cursor=first.next_cursor, **other))
        assert (type(told), told.param) == (InvalidRequest, "cursor")


def test_all_of_them_are_walked_through_page_by_page(
    own_shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LIMIT_MAX", 7)
    filters = {"product_id": own_shelf.product_id}
    for order in ("asc", "desc"):
        with own_shelf.till.engine.connect() as connection:
            found = [
                view["id"]
                for view in listing.every(connection, "price", filters=filters, order=order)
            ]
        assert found == own_shelf.expected(order)


# --- Products ---


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_products_of_one_moment_are_paged_each_once(engine: Engine, order: Any) -> None:
    till = Till(engine)  # a database of its own: products have no filter that tells ours apart
    made = sorted((till.product() for _ in range(11)), reverse=order == "desc")
    till.put("UPDATE products SET created_at = :at", at=NOON)
    archived = made[::3]
    for product_id in archived:
        till.archive_product(product_id)
    for filters, expected in (
        ({}, made),
        ({"active": False}, archived),
        ({"active": True}, [one for one in made if one not in archived]),
    ):
        numbered, by_cursor, cursor = list[str](), list[str](), None
        with engine.connect() as connection:
            for number in range(1, 9):
                query: dict[str, Any] = {"filters": filters, "page_size": 2, "order": order}
                numbered += ids(listing.page(connection, "product", page=number, **query))
            while True:
                one = listing.page(connection, "product", cursor=cursor, **query)
                by_cursor += ids(one)
                if (cursor := one.next_cursor) is None:
                    break
        assert numbered == by_cursor == expected


# --- Refused ---


@every(
    "query, param, message",
    [
        ({"page_size": 0}, "pageSize", "pageSize must be a whole number from 1 to 100"),
        ({"page_size": 101}, "pageSize", "pageSize must be a whole number from 1 to 100"),
        ({"page": 0}, "page", "page must be a whole number from 1 to 10000000"),
        ({"page": PAGE_MAX + 1}, "page", "page must be a whole number from 1 to 10000000"),
        ({"cursor": "x"}, "cursor", "cursor must be the next_cursor of the page before"),
        ({"cursor": ""}, "cursor", "cursor must be the next_cursor of the page before"),
        ({"cursor": "WzEsMl0"}, "cursor", "cursor must be the next_cursor of the page before"),
        ({"filters": {"currency_id": "USD"}}, "currency_id", CURRENCY),
        ({"filters": {"currency_id": "cur_USD"}}, "currency_id",
         CURRENCY),
    ],
)  # fmt: skip
def test_a_page_that_there_can_not_be_is_refused(
    shelf: Shelf, query: dict[str, Any], param: str, message: str
) -> None:
    refused = refusal(lambda: shelf.page(**query))
    assert isinstance(refused, InvalidRequest)
    assert told(refused) == ("invalid_request", param, message)


def test_the_cursor_of_products_is_none_of_prices(shelf: Shelf) -> None:
    shelf.till.product()
    with shelf.till.engine.connect() as connection:
        cursor = listing.page(connection, "product", page_size=1).next_cursor
    assert cursor is not None
    assert refusal(lambda: shelf.page(cursor=cursor)).param == "cursor"
