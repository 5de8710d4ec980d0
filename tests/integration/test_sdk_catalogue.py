"""Products, prices and currencies of the SDK, against a small real server."""

from functools import partial

import pytest

from infra import billing
from tests.support.every import every
from tests.support.scripted import HangsUp, Says, problem, scripted_service
from tests.support.waiting import patience_s

pytestmark = pytest.mark.usefixtures("unconfigured", "both")

PRODUCT_ID, PRICE_ID = "prod_" + "a" * 32, "price_" + "a" * 32
PRODUCT = {"id": PRODUCT_ID, "object": "product", "name": "Widget", "active": True}
PRICE = {
    "id": PRICE_ID,
    "object": "price",
    "product_id": PRODUCT_ID,
    "active": True,
    "unit_amount": "2000",
    "quantity_available": 9,
    "product": PRODUCT,
    "currency": {"id": "cur_usd", "object": "currency", "code": "USD", "name": "US Dollar"},
}
TIERS = [{"up_to": 5, "unit_amount": "700"}, {"up_to": "inf", "unit_amount": "600"}]


@pytest.fixture
def service():
    with scripted_service() as running:
        billing.configure(url=running.url, api_key="bk_1", timeout_s=patience_s())
        running.will(Says(200, PRICE))
        yield running


@every(
    "verb, method, path, body",
    [
        (lambda: billing.product.retrieve("prod_1"), "GET", "/products/prod_1", None),
        (lambda: billing.product.get(id="prod_1"), "GET", "/products/prod_1", None),
        (lambda: billing.product.archive("prod_1"), "PUT", "/products/prod_1/archive", None),
        (lambda: billing.product.delete("prod_1"), "DELETE", "/products/prod_1", None),
        (
            lambda: billing.product.create(
                name="Widget", description="", metadata={"a": "b"}, idempotency_key="k"
            ),
            "POST",
            "/products",
            {
                "name": "Widget",
                "description": "",
                "active": True,
                "metadata": {"a": "b"},
                "idempotency_key": "k",
            },
        ),
        (
            lambda: billing.product.update("prod_1", name="Gadget", description=None, active=False),
            "PUT",
            "/products/prod_1",
            {"name": "Gadget", "description": None, "active": False},
        ),
        (lambda: billing.price.retrieve("standard"), "GET", "/prices/standard", None),
        (lambda: billing.price.get(id="standard"), "GET", "/prices/standard", None),
        (lambda: billing.price.archive("standard"), "PUT", "/prices/standard/archive", None),
        (lambda: billing.price.delete("standard"), "DELETE", "/prices/standard", None),
        (
            lambda: billing.price.quote("standard", quantity=0),
            "POST",
            "/prices/standard/quote",
            {"quantity": 0},
        ),
        (
            lambda: billing.price.inventory(
                "standard", quantity=1, action="decrement", idempotency_key="k"
            ),
            "PUT",
            "/prices/standard/inventory",
            {"quantity": 1, "action": "decrement", "idempotency_key": "k"},
        ),
        (lambda: billing.price.update("standard"), "PUT", "/prices/standard", {}),
        (
            lambda: billing.price.update("standard", nickname=None, lookup_key=None),
            "PUT",
            "/prices/standard",
            {"nickname": None, "lookup_key": None},
        ),
        (
            lambda: billing.price.update(
                "standard",
                active=True,
                lookup_key="gold",
                transfer_lookup_key=True,
                metadata={"plan": "gold", "trial": None},
            ),
            "PUT",
            "/prices/standard",
            {
                "active": True,
                "lookup_key": "gold",
                "transfer_lookup_key": True,
                "metadata": {"plan": "gold", "trial": None},
            },
        ),
        (lambda: billing.currency.retrieve("cur_usd"), "GET", "/currencies/cur_usd", None),
        (lambda: billing.currency.get(id="cur_usd"), "GET", "/currencies/cur_usd", None),
    ],
)
def test_a_verb_is_its_route(service, verb, method, path, body):
    service.asked.clear()
    answer = verb()
    (asked,) = service.asked
    assert (asked.method, asked.path, asked.body) == (method, f"/v1/billing{path}", body)
    assert answer.id == PRICE_ID


def test_a_price_has_every_field_that_was_given(service):
    given = {
        "product_id": PRODUCT_ID,
        "currency_id": "cur_usd",
        "type": "recurring",
        "recurring": {"interval": "month", "interval_count": 3, "usage_type": "licensed"},
        "billing_scheme": "per_unit",
        "transform_quantity": {"divide_by": 10, "round": "up"},
        "nickname": "Standard",
        "active": False,
        "lookup_key": "standard",
        "transfer_lookup_key": True,
        "quantity_available": 10,
        "metadata": {"plan": "gold"},
        "idempotency_key": "price-1",
    }
    price = billing.price.create(**given, unit_amount=2000)
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/billing/prices")
    assert asked.body == {**given, "unit_amount": 2000}
    assert (type(price), price.product.name, price.currency.code) == (
        billing.Price,
        "Widget",
        "USD",
    )


def test_tiers_are_sent_as_a_list_whatever_holds_them(service):
    billing.price.create(
        product_id=PRODUCT_ID,
        currency_id="cur_usd",
        tiers=tuple(TIERS),
        tiers_mode="graduated",
        idempotency_key="price-1",
    )
    assert service.asked[0].body == {
        "product_id": PRODUCT_ID,
        "currency_id": "cur_usd",
        "tiers": TIERS,
        "tiers_mode": "graduated",
        "active": True,
        "idempotency_key": "price-1",
    }


MAKES = [
    lambda: billing.product.create(name="Widget"),
    lambda: billing.price.create(product_id=PRODUCT_ID, currency_id="cur_usd", unit_amount="1"),
    lambda: billing.price.inventory("standard", quantity=1, action="increment"),
]


@pytest.mark.parametrize("make", MAKES)
def test_without_a_key_one_is_made_before_the_first_try_and_each_try_has_it(service, make):
    service.will(Says(503), HangsUp(), Says(200, PRICE))
    make()
    keys = [one.body["idempotency_key"] for one in service.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    make()
    assert service.asked[-1].body["idempotency_key"] not in keys


@pytest.mark.parametrize("make", MAKES)
def test_what_is_refused_names_the_key_that_it_was_sent_under(service, make):
    service.will(problem(422, "idempotency_key_reused"))
    with pytest.raises(billing.KeyReused) as refused:
        make()
    assert refused.value.idempotency_key == service.asked[0].body["idempotency_key"]


def test_too_little_left_says_how_little(service):
    service.will(problem(409, "insufficient_inventory", available=3, requested=5))
    with pytest.raises(billing.InsufficientInventory) as refused:
        billing.price.inventory("standard", quantity=5, action="decrement")
    assert refused.value.facts == {"available": 3, "requested": 5}
    service.will(problem(409, "lookup_key_in_use", price_id=PRICE_ID))
    with pytest.raises(billing.LookupKeyInUse) as taken:
        billing.price.update("standard", lookup_key="gold")
    assert taken.value.facts == {"price_id": PRICE_ID}


def test_a_delete_whose_answer_got_lost_has_deleted_all_the_same(service):
    service.will(HangsUp(), problem(404, "not_found"))
    deleted = billing.price.delete(PRICE_ID)
    assert deleted == {"id": PRICE_ID, "object": "price", "deleted": True}
    service.will(HangsUp(), problem(404, "not_found"))
    assert billing.product.delete(PRODUCT_ID).object == "product"


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("delete", {}),
        ("archive", {}),
        ("update", {"lookup_key": "gold"}),
        ("update", {"nickname": "Gold"}),
    ],
)
def test_by_a_lookup_key_that_may_have_moved_nothing_is_done_twice(service, verb, fields):
    act = partial(getattr(billing.price, verb), **fields)
    service.will(HangsUp(), Says(200, PRICE))
    with pytest.raises(billing.Unavailable):
        act("standard")
    assert len(service.asked) == 1
    service.will(HangsUp(), Says(200, PRICE))
    act(PRICE_ID)
    assert len(service.asked) == 3


def test_a_list_asks_for_what_is_given_in_the_names_of_the_service(service):
    service.will(Says(200, {"count": 0, "list": [], "next_cursor": None}))
    billing.price.list(
        active=True,
        type="recurring",
        currency_id="cur_usd",
        product_id=PRODUCT_ID,
        lookup_key="standard",
        page=2,
        page_size=5,
        order="asc",
    )
    billing.price.list()
    billing.product.list(active=False, order="desc")
    assert [one.query for one in service.asked] == [
        {
            "active": ["true"],
            "type": ["recurring"],
            "currency_id": ["cur_usd"],
            "product_id": [PRODUCT_ID],
            "lookup_key": ["standard"],
            "page": ["2"],
            "pageSize": ["5"],
            "order": ["asc"],
        },
        {},
        {"active": ["false"], "order": ["desc"]},
    ]


def test_a_list_goes_on_by_its_cursor_and_no_longer_by_the_page(service):
    first = {"count": 3, "list": [{**PRICE, "id": "a"}, {**PRICE, "id": "b"}], "next_cursor": "c2"}
    last = {"count": 3, "list": [{**PRICE, "id": "c"}], "next_cursor": None}
    service.will(Says(200, first), Says(200, last))
    prices = billing.price.list(product_id=PRODUCT_ID, page=1, page_size=2)
    assert (prices.count, [price.id for price in prices.list]) == (3, ["a", "b"])
    assert len(service.asked) == 1
    assert [price.id for price in prices.auto_paging_iter()] == ["a", "b", "c"]
    query = {"product_id": [PRODUCT_ID], "pageSize": ["2"]}
    assert [one.query for one in service.asked] == [
        {**query, "page": ["1"]},
        {**query, "cursor": ["c2"]},
    ]
    assert {type(price) for price in prices.list} == {billing.Price}


def test_currencies_are_listed_whole(service):
    service.will(Says(200, {"count": 1, "list": [{"id": "cur_usd", "code": "USD"}]}))
    listing = billing.currency.list()
    assert [one.code for one in listing.auto_paging_iter()] == ["USD"]
    assert (listing.count, listing.next_cursor) == (1, None)
    assert service.asked[0].path == "/v1/billing/currencies"


def test_what_is_no_list_asks_about_the_url(service):
    service.will(Says(200, {"data": []}))
    with pytest.raises(billing.Unavailable, match="is the url right"):
        billing.price.list()


def test_a_quote_says_what_it_costs_and_why(service):
    line = {"type": "unit", "quantity": 6, "unit_amount": "650", "amount": 3900, "reason": "six"}
    quote = {"object": "quote", "price_id": PRICE_ID, "quantity": 6, "amount": 3900}
    service.will(Says(200, {**quote, "currency": "USD", "lines": [line]}))
    told = billing.price.quote("standard", quantity=6)
    assert (type(told), told.amount, told.lines[0].reason) == (billing.Quote, 3900, "six")


def test_a_lookup_key_never_leads_to_another_route(service):
    billing.price.retrieve("a b?x=#")
    assert service.asked[0].path == "/v1/billing/prices/a%20b%3Fx%3D%23"
