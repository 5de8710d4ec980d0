"""Prices over HTTP: the samples that were asked for, and what stands around them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.every import every
from tests.support.web import Caller, insist, made_once

FIELDS = [
    "id", "object", "product_id", "nickname", "active", "livemode", "type", "billing_scheme",
    "unit_amount", "recurring", "tiers", "tiers_mode", "transform_quantity", "currency_id",
    "currency_code", "lookup_key", "quantity_available", "metadata", "created_at", "updated_at",
    "product", "currency",
]  # fmt: skip
TIERS = [
    {"up_to": 5, "unit_amount": "700"},
    {"up_to": 10, "unit_amount": "650"},
    {"up_to": "inf", "unit_amount": "600"},
]


class Samples:
    """The JavaScript client of the samples, by its routes; it names the mode in every query."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, fields: dict[str, Any]) -> Any:
        return self._ask("POST", "/prices", fields)

    def retrieve(self, id_: str) -> Any:
        return self._ask("GET", f"/prices/{id_}")

    def update(self, id_: str, fields: dict[str, Any]) -> Any:
        return self._ask("PUT", f"/prices/{id_}", fields)

    def list(self, query: dict[str, Any]) -> Any:
        return self._ask("GET", "/prices", query=query)

    def inventory(self, id_: str, fields: dict[str, Any]) -> Any:
        return self._ask("PUT", f"/prices/{id_}/inventory", fields)

    def archive(self, id_: str) -> Any:
        return self._ask("PUT", f"/prices/{id_}/archive")

    def delete(self, id_: str) -> Any:
        return self._ask("DELETE", f"/prices/{id_}")

    def _ask(
        self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None
    ) -> Any:
        params = {"livemode": "true", **(query or {})}  # as it says unless it is told otherwise
        answer = self._caller.request(method, path, json=body, params=params)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@pytest.fixture
def prices(caller: Caller) -> Samples:
    return Samples(caller)


def test_every_sample_of_the_seed_runs(caller: Caller, prices: Samples) -> None:
    product_id = caller.product(name="My SaaS Product")
    price = prices.create(
        {
            "product_id": product_id,
            "nickname": "Standard Monthly Plan",
            "unit_amount": "2000",
            "currency_id": "cur_usd",
            "type": "recurring",
            "recurring": {"interval": "month", "interval_count": 1},
        }
    )
    assert list(price) == FIELDS
    shown = {name: price[name] for name in FIELDS if name not in ("product", "currency")}
    assert shown == {
        "id": price["id"], "object": "price", "product_id": product_id,
        "nickname": "Standard Monthly Plan", "active": True, "livemode": False,
        "type": "recurring", "billing_scheme": "per_unit", "unit_amount": "2000",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "tiers": None, "tiers_mode": None, "transform_quantity": None,
        "currency_id": "cur_usd", "currency_code": "USD", "lookup_key": None,
        "quantity_available": None, "metadata": {},
        "created_at": price["created_at"], "updated_at": price["updated_at"],
    }  # fmt: skip
    assert (price["product"]["id"], price["product"]["name"]) == (product_id, "My SaaS Product")
    assert (price["currency"]["id"], price["currency"]["name"]) == ("cur_usd", "US Dollar")

    assert prices.retrieve(price["id"]) == price
    renamed = prices.update(price["id"], {"nickname": "Updated Standard Plan Name"})
    assert (renamed["id"], renamed["nickname"]) == (price["id"], "Updated Standard Plan Name")
    listed = prices.list({"product_id": product_id, "active": "true", "pageSize": 5})
    assert listed == {"count": 1, "list": [renamed], "next_cursor": None}
    archived = prices.archive(price["id"])
    assert archived["active"] is False
    assert prices.archive(price["id"]) == archived
    gone = prices.delete(price["id"])
    assert gone == {"id": price["id"], "object": "price", "deleted": True}
    assert caller.get(f"/prices/{price['id']}").status_code == 404


def test_the_sample_of_inventory_runs(caller: Caller, prices: Samples) -> None:
    price = caller.price(quantity_available=3)
    left = prices.inventory(price["id"], {"quantity": 1, "action": "decrement"})
    assert left == {**price, "quantity_available": 2, "updated_at": left["updated_at"]}
    more = prices.inventory(price["id"], {"quantity": 10, "action": "increment"})
    assert more["quantity_available"] == 12


def test_stock_never_goes_below_nothing_and_says_what_is_there(caller: Caller) -> None:
    price = caller.price(quantity_available=3)
    path = f"/prices/{price['id']}/inventory"
    refused = caller.put(path, json={"quantity": 4, "action": "decrement"})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "insufficient_inventory")
    assert (problem["available"], problem["requested"], problem["param"]) == (3, 4, "quantity")
    assert caller.get(f"/prices/{price['id']}").json()["quantity_available"] == 3


def test_an_unlimited_price_has_nothing_to_count(caller: Caller) -> None:
    path = f"/prices/{caller.price()['id']}/inventory"
    refused = caller.put(path, json={"quantity": 1, "action": "increment"})
    assert (refused.status_code, refused.json()["code"]) == (409, "inventory_unlimited")


@every(
    "fields, param",
    [
        ({"quantity": 0, "action": "increment"}, "quantity"),
        ({"quantity": -1, "action": "decrement"}, "quantity"),
        ({"quantity": 1.0, "action": "increment"}, "quantity"),
        ({"quantity": "1", "action": "increment"}, "quantity"),
        ({"quantity": 10**15, "action": "increment"}, "quantity"),
        ({"quantity": 999_999_999_999_999, "action": "increment"}, "quantity"),
        ({"quantity": 1, "action": "set"}, "action"),
        ({"quantity": 1}, "action"),
        ({"action": "increment"}, "quantity"),
    ],
)
def test_an_inventory_that_is_not_understood_is_refused(
    caller: Caller, fields: dict[str, Any], param: str
) -> None:
    price = caller.price(quantity_available=3)
    refused = caller.put(f"/prices/{price['id']}/inventory", json=fields)
    assert (refused.status_code, refused.json()["param"]) == (400, param)
    assert caller.get(f"/prices/{price['id']}").json() == price


def test_inventory_is_counted_once_per_key(caller: Caller) -> None:
    price = caller.price(quantity_available=3)
    path, key = f"/prices/{price['id']}/inventory", {"idempotency-key": "delivery-1"}
    body = {"quantity": 5, "action": "increment"}
    first, second = (caller.put(path, json=body, headers=key) for _ in range(2))
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    assert first.json()["quantity_available"] == 8
    other = caller.put(path, json={**body, "quantity": 6}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = caller.price(quantity_available=1)
    other = caller.put(f"/prices/{elsewhere['id']}/inventory", json=body, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert caller.get(f"/prices/{elsewhere['id']}").json() == elsewhere


def test_one_key_makes_one_price_even_after_it_was_deleted(caller: Caller) -> None:
    product_id = caller.product()
    fields = {"product_id": product_id, "unit_amount": 5, "currency_id": "cur_eur"}
    key = {"idempotency-key": "price-1"}
    first, second = (caller.post("/prices", json=fields, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json() == first.json()
    caller.delete(f"/prices/{first.json()['id']}")
    late = caller.post("/prices", json=fields, headers=key)
    assert (late.status_code, late.json()["code"]) == (422, "idempotency_key_reused")
    assert "deleted" in late.json()["detail"]
    assert caller.get(f"/prices/{first.json()['id']}").status_code == 404


@every(
    "fields, param, fix",
    [
        ({"unit_amount": "19.99"}, "unit_amount", "for USD 19.99 send unit_amount=1999"),
        ({"unit_amount": 19.99}, "unit_amount", "for USD 19.99 send unit_amount=1999"),
        ({"unit_amount": 5.0}, "unit_amount", "send unit_amount=5 if you mean USD 0.05, or"),
        ({"unit_amount": "ten"}, "unit_amount", '"2000" is 20.00 USD'),
        ({"unit_amount": "0"}, "unit_amount", "must be 1 or more"),
        ({"unit_amount": None}, "unit_amount", "required"),
        ({"product_id": None}, "product_id", "required"),
        ({"product_id": "prod_" + "a" * 32}, "product_id", "no product with this id"),
        ({"product_id": "tea"}, "product_id", "prod_…"),
        ({"currency_id": "usd"}, "currency_id", "cur_usd"),
        ({"currency_id": "cur_qqq"}, "currency_id", "GET /currencies"),
        ({"type": "recurring"}, "type", "recurring is required"),
        ({"recurring": {"interval": "decade"}}, "recurring", "'month'"),
        ({"recurring": {"interval": "year", "interval_count": 4}}, "recurring", "at most 3"),
        ({"type": "one_time", "recurring": {"interval": "day"}}, "type", "leave recurring out"),
        ({"tiers": TIERS, "tiers_mode": "volume"}, "unit_amount", "leave it out"),
        ({"tiers_mode": "volume"}, "tiers_mode", "goes with tiers"),
        ({"transform_quantity": {"divide_by": 0, "round": "up"}}, "transform_quantity", "1"),
        ({"quantity_available": -1}, "quantity_available", "0"),
        ({"lookup_key": "price_" + "a" * 32}, "lookup_key", "id of a price"),
        ({"currency": "usd"}, "currency", "did you mean 'currency_id'"),
    ],
)
def test_a_price_that_is_not_understood_is_refused_with_the_fix(
    caller: Caller, fields: dict[str, Any], param: str, fix: str
) -> None:
    good = {"product_id": caller.product(), "unit_amount": "2000", "currency_id": "cur_usd"}
    refused = caller.post("/prices", json={**good, **fields})
    assert (refused.status_code, refused.json()["param"]) == (400, param)
    assert fix in refused.json()["detail"]


@every(
    "field",
    ["unit_amount", "currency_id", "type", "recurring", "tiers", "tiers_mode", "product_id",
     "billing_scheme", "transform_quantity"],
)  # fmt: skip
def test_what_a_price_costs_never_changes(caller: Caller, field: str) -> None:
    price = caller.price()
    refused = caller.put(f"/prices/{price['id']}", json={field: price[field], "nickname": "x"})
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["param"]) == (409, "price_locked", field)
    for may in ("nickname", "active", "lookup_key", "metadata"):
        assert may in problem["detail"]
    assert caller.get(f"/prices/{price['id']}").json() == price


def test_stock_is_counted_and_not_set(caller: Caller) -> None:
    price = caller.price(quantity_available=3)
    refused = caller.put(f"/prices/{price['id']}", json={"quantity_available": 5})
    assert refused.status_code == 400
    assert "/inventory" in refused.json()["detail"]


def test_metadata_is_merged_and_null_unsets(caller: Caller) -> None:
    price = caller.price(metadata={"a": "1", "b": "2"}, nickname="Old")
    path = f"/prices/{price['id']}"
    changed = caller.put(path, json={"metadata": {"a": None, "c": "3"}, "nickname": None}).json()
    assert (changed["metadata"], changed["nickname"]) == ({"b": "2", "c": "3"}, None)
    many = {str(n): "x" for n in range(49)}
    refused = caller.put(path, json={"metadata": many})
    assert (refused.status_code, refused.json()["param"]) == (400, "metadata")
    assert caller.put(path, json={}).json() == changed


def test_a_lookup_key_is_as_good_as_an_id(caller: Caller) -> None:
    key = f"{caller.producer} gold/plan".replace("/", " ")
    price = caller.price(lookup_key=key, quantity_available=5)
    path = f"/prices/{key}"
    assert caller.get(path).json() == price
    assert caller.post(f"{path}/quote", json={"quantity": 2}).json()["price_id"] == price["id"]
    assert caller.put(path, json={"nickname": "Gold"}).json()["id"] == price["id"]
    left = caller.put(f"{path}/inventory", json={"quantity": 1, "action": "decrement"}).json()
    assert left["quantity_available"] == 4
    bought = caller.buy(key, 1).json()
    assert bought["price_id"] == price["id"]
    assert caller.get("/prices", params={"lookup_key": key}).json()["count"] == 1
    assert caller.put(f"{path}/archive").json()["active"] is False
    refused = caller.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_in_use")


def test_a_lookup_key_is_one_price_s_until_it_is_moved(caller: Caller) -> None:
    key = f"{caller.producer}-gold"
    old = caller.price(lookup_key=key)
    fields = {"product_id": old["product_id"], "unit_amount": "2500", "currency_id": "cur_usd"}
    refused = caller.post("/prices", json={**fields, "lookup_key": key})
    assert (refused.status_code, refused.json()["code"]) == (409, "lookup_key_in_use")
    assert refused.json()["price_id"] == old["id"]
    assert f"the price {old['id']} has this lookup key" in refused.json()["detail"]
    moving = {**fields, "lookup_key": key, "transfer_lookup_key": True}
    new = caller.post("/prices", json=moving).json()
    assert caller.get(f"/prices/{key}").json() == new
    assert caller.get(f"/prices/{old['id']}").json()["lookup_key"] is None
    back = {"lookup_key": key, "transfer_lookup_key": True}
    assert caller.put(f"/prices/{old['id']}", json={"lookup_key": key}).status_code == 409
    assert caller.put(f"/prices/{old['id']}", json=back).json()["lookup_key"] == key
    assert caller.get(f"/prices/{new['id']}").json()["lookup_key"] is None


def test_a_list_is_paged_by_number_and_by_cursor(caller: Caller) -> None:
    product_id = caller.product()
    made = [caller.price(product_id=product_id, nickname=str(n))["id"] for n in range(7)]

    def page(**query: Any) -> Any:
        answer = caller.get("/prices", params={"product_id": product_id, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [one["id"] for one in page()["list"]] == made[::-1]
    assert [one["id"] for one in page(order="asc")["list"]] == made
    refused = caller.get("/prices", params={"order": "created_at:ASC"})
    assert (refused.status_code, refused.json()["param"]) == (400, "order")
    numbered = [page(page=n, pageSize=3) for n in (1, 2, 3, 4)]
    assert [[one["id"] for one in p["list"]] for p in numbered] == [
        made[:3:-1], made[3:0:-1], made[0:1], [],
    ]  # fmt: skip
    assert {p["count"] for p in numbered} == {7}
    first = page(pageSize=3)
    second = page(pageSize=3, cursor=first["next_cursor"])
    third = page(pageSize=3, cursor=second["next_cursor"])
    found = [one["id"] for p in (first, second, third) for one in p["list"]]
    assert (found, third["next_cursor"], third["count"]) == (made[::-1], None, 7)


def test_a_cursor_goes_with_its_filters_and_its_order(caller: Caller) -> None:
    product_id = caller.product()
    for _ in range(3):
        caller.price(product_id=product_id)
    asked = {"product_id": product_id, "order": "asc", "pageSize": 1}
    cursor = caller.get("/prices", params=asked).json()["next_cursor"]
    assert caller.get("/prices", params={**asked, "cursor": cursor}).status_code == 200
    assert (
        caller.get("/prices", params={**asked, "cursor": cursor, "pageSize": 2}).status_code == 200
    )
    for other in ({"order": "desc"}, {"active": "true"}, {"product_id": caller.product()}):
        refused = caller.get("/prices", params={**asked, **other, "cursor": cursor})
        assert (refused.status_code, refused.json()["param"]) == (400, "cursor")
        assert "belongs to a list with other filters" in refused.json()["detail"]


def test_a_name_that_is_no_text_is_nobody_s(caller: Caller) -> None:
    for path in ("", "/archive", "/inventory", "/quote"):
        method = {"": "GET", "/quote": "POST"}.get(path, "PUT")
        body = {"": None, "/archive": None, "/quote": {"quantity": 1}}.get(
            path, {"quantity": 1, "action": "increment"}
        )
        answer = caller.request(method, f"/prices/%00{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert caller.request("DELETE", "/prices/a%01b").status_code == 404
    assert caller.put("/prices/%00", json={"nickname": "x"}).status_code == 404
    assert caller.buy("a\x00b", 1).status_code == 400
    for name in ("lookup_key", "product_id"):
        refused = caller.get(f"/prices?{name}=%00")
        assert (refused.status_code, refused.json()["param"]) == (400, name)


def test_an_open_tier_is_one_request_however_it_is_written(caller: Caller) -> None:
    product_id, key = caller.product(), uuid.uuid4().hex
    ids = set()
    for end in ({"up_to": "inf"}, {"up_to": None}, {}):
        tiers = [{"up_to": 5, "unit_amount": "700"}, {**end, "unit_amount": "600"}]
        made = caller.post(
            "/prices",
            json={
                "product_id": product_id, "currency_id": "cur_usd", "tiers": tiers,
                "tiers_mode": "volume",
            },
            headers={"idempotency-key": key},
        )  # fmt: skip
        assert made.status_code in (200, 201), made.text
        ids.add(made.json()["id"])
    assert len(ids) == 1


def test_the_same_transfer_asked_for_at_once_gives_the_key_once(caller: Caller) -> None:
    product_id = caller.product()
    for number in range(5):
        name, key = uuid.uuid4().hex, {"idempotency-key": uuid.uuid4().hex}
        old = caller.price(product_id=product_id, lookup_key=name)
        asked = {
            "product_id": product_id, "currency_id": "cur_usd", "unit_amount": "3000",
            "lookup_key": name, "transfer_lookup_key": True,
        }  # fmt: skip

        def ask(_: int, asked: dict[str, Any] = asked, key: dict[str, str] = key) -> httpx.Response:
            return insist(lambda: caller.post("/prices", json=asked, headers=key))

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(ask, range(4)))
        assert made_once(answers, status=201)
        there = caller.get("/prices", params={"product_id": product_id}).json()
        assert there["count"] == 2 * (number + 1)
        assert {a.json()["lookup_key"] for a in answers} == {name}
        assert caller.get(f"/prices/{name}").json()["id"] == answers[0].json()["id"] != old["id"]


def test_an_inventory_change_is_repeated_whatever_has_become_of_the_name(caller: Caller) -> None:
    name, key = uuid.uuid4().hex, {"idempotency-key": uuid.uuid4().hex}
    price = caller.price(lookup_key=name, quantity_available=10)
    asked = {"quantity": 5, "action": "increment"}
    assert caller.put(f"/prices/{name}/inventory", json=asked, headers=key).status_code == 200
    caller.price(lookup_key=name, transfer_lookup_key=True, quantity_available=1)
    again = caller.put(f"/prices/{name}/inventory", json=asked, headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert (again.json()["id"], again.json()["quantity_available"]) == (price["id"], 15)
    other = caller.put(f"/prices/{name}/inventory", json={**asked, "quantity": 6}, headers=key)
    assert other.json()["code"] == "idempotency_key_reused"


@every(
    "query, param",
    [
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 101}, "pageSize"),
        ({"page": 0}, "page"),
        ({"page": 2, "cursor": "x"}, "page"),
        ({"cursor": "x"}, "cursor"),
        ({"order": "amount"}, "order"),
        ({"active": "perhaps"}, "active"),
        ({"type": "weekly"}, "type"),
        ({"currency_id": "USD"}, "currency_id"),
        ({"currency_id": "cur_xyz"}, "currency_id"),
        ({"product": "prod_1"}, "product"),
    ],
)
def test_a_list_that_is_not_understood_is_refused(
    caller: Caller, query: dict[str, Any], param: str
) -> None:
    refused = caller.get("/prices", params=query)
    assert (refused.status_code, refused.json()["param"]) == (400, param)


def test_lists_are_narrowed_down_by_every_filter(caller: Caller) -> None:
    product_id = caller.product()
    recurring = caller.price(product_id=product_id, recurring={"interval": "week"})
    euros = caller.price(product_id=product_id, currency_id="cur_eur", active=False)
    for query, expected in (
        ({"type": "recurring"}, [recurring]),
        ({"type": "one_time"}, [euros]),
        ({"currency_id": "cur_eur"}, [euros]),
        ({"active": "true"}, [recurring]),
        ({"currency_id": "cur_usd", "active": "false"}, []),
    ):
        found = caller.get("/prices", params={"product_id": product_id, **query}).json()
        assert (found["count"], found["list"]) == (len(expected), expected)


@pytest.mark.parametrize(
    ("mode", "amounts"),
    [
        ("volume", [700, 3500, 3900, 12_000, 15_000]),
        ("graduated", [700, 3500, 4150, 12_750, 15_750]),
    ],
)
def test_the_known_answers_are_quoted_with_reasons(
    caller: Caller, mode: str, amounts: list[int]
) -> None:
    price = caller.price(tiers=TIERS, tiers_mode=mode)
    assert price["tiers"] == [{**tier, "flat_amount": "0"} for tier in TIERS]
    for quantity, amount in zip((1, 5, 6, 20, 25), amounts, strict=True):
        quote = caller.post(f"/prices/{price['id']}/quote", json={"quantity": quantity}).json()
        assert (quote["amount"], quote["currency"]) == (amount, "USD")
        assert sum(line["amount"] for line in quote["lines"]) == amount
        assert all(line["reason"] for line in quote["lines"])


def test_a_quote_of_nothing_is_nothing_and_one_that_is_too_much_is_refused(caller: Caller) -> None:
    path = f"/prices/{caller.price(unit_amount='999999999999999')['id']}/quote"
    nothing = caller.post(path, json={"quantity": 0}).json()
    assert (nothing["amount"], nothing["lines"]) == (0, [])
    assert caller.post(path, json={"quantity": 1}).json()["amount"] == 999_999_999_999_999
    refused = caller.post(path, json={"quantity": 2})
    assert (refused.status_code, refused.json()["param"]) == (400, "quantity")


def test_what_a_price_comes_to_may_be_expected(caller: Caller) -> None:
    key = f"tea-{uuid.uuid4().hex[:8]}"
    caller.price(lookup_key=key, quantity_available=5)
    caller.price(lookup_key=key, transfer_lookup_key=True, unit_amount="1800")
    refused = caller.buy(key, 2, "order-1", expected_amount=4000)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "unexpected_amount")
    assert (problem["amount"], problem["expected_amount"]) == (3600, 4000)
    made = caller.buy(key, 2, "order-1", expected_amount=3600)
    assert (made.status_code, made.json()["amount"]) == (202, 3600)
    # A repeat is one, whatever the price comes to by now.
    caller.price(lookup_key=key, transfer_lookup_key=True, unit_amount="1700")
    assert caller.buy(key, 2, "order-1", expected_amount=3600).status_code == 200
    assert caller.buy(key, 2, "order-1", expected_amount=3400).status_code == 422
