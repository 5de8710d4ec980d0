"""Products and currencies over HTTP."""

import httpx

from tests.support.web import Caller

FIELDS = [
    "id", "object", "name", "description", "active", "livemode", "metadata", "created_at",
    "updated_at",
]  # fmt: skip


def make(caller: Caller, key: str | None = None, **fields: object) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return caller.post("/products", json={"name": "My SaaS Product", **fields}, headers=headers)


def test_a_product_is_made_and_can_be_read(caller: Caller) -> None:
    made = make(caller, description="For a team", metadata={"shelf": "7"})
    product = made.json()
    assert (made.status_code, list(product)) == (201, FIELDS)
    assert made.headers["location"] == f"/v1/billing/products/{product['id']}"
    assert (product["object"], product["active"], product["livemode"]) == ("product", True, False)
    assert caller.get(f"/products/{product['id']}").json() == product


def test_one_key_makes_one_product(caller: Caller) -> None:
    first, second = (make(caller, "p-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json() == second.json()
    other = make(caller, "p-1", name="Another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert other.json()["product_id"] == first.json()["id"]


def test_what_is_not_sent_stays_and_null_unsets(caller: Caller) -> None:
    product = make(caller, description="old", metadata={"a": "1", "b": "2"}).json()
    path = f"/products/{product['id']}"
    changed = caller.put(path, json={"description": None, "metadata": {"a": None, "c": "3"}}).json()
    assert changed["name"] == "My SaaS Product"
    assert (changed["description"], changed["metadata"]) == (None, {"b": "2", "c": "3"})
    assert changed["updated_at"] > product["updated_at"]
    assert caller.put(path, json={"name": None}).json()["param"] == "name"
    assert caller.put(path, json={"active": None}).json()["param"] == "active"


def test_a_product_that_was_deleted_is_not_made_again_by_a_late_repeat(caller: Caller) -> None:
    key = {"idempotency-key": "tea"}
    made = caller.post("/products", json={"name": "Tea"}, headers=key)
    assert made.status_code == 201
    assert caller.delete(f"/products/{made.json()['id']}").status_code == 200
    late = caller.post("/products", json={"name": "Tea"}, headers=key)
    assert (late.status_code, late.json()["code"]) == (422, "idempotency_key_reused")
    assert "has been deleted" in late.json()["detail"]
    assert caller.get(f"/products/{made.json()['id']}").status_code == 404


def test_a_type_is_taken_for_clients_that_send_it_and_is_no_part_of_the_request(
    caller: Caller,
) -> None:
    key = {"idempotency-key": "tea"}
    made = caller.post("/products", json={"name": "Tea"}, headers=key)
    for type_ in ("good", "service"):
        again = caller.post("/products", json={"name": "Tea", "type": type_}, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    other = caller.post("/products", json={"name": "Tea", "type": "ship"}, headers=key)
    assert (other.status_code, other.json()["param"]) == (400, "type")


def test_an_archived_product_gets_no_prices_and_its_prices_no_charges(caller: Caller) -> None:
    price = caller.price()
    archived = caller.put(f"/products/{price['product_id']}/archive")
    assert (archived.status_code, archived.json()["active"]) == (200, False)
    refused = caller.buy(price["id"], 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "product_inactive")
    new = {"product_id": price["product_id"], "unit_amount": "1", "currency_id": "cur_usd"}
    assert caller.post("/prices", json=new).json()["code"] == "product_inactive"


def test_a_product_is_deleted_while_it_has_no_prices(caller: Caller) -> None:
    price = caller.price()
    path = f"/products/{price['product_id']}"
    refused = caller.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "product_in_use")
    assert caller.delete(f"/prices/{price['id']}").status_code == 200
    gone = caller.delete(path)
    assert gone.json() == {"id": price["product_id"], "object": "product", "deleted": True}
    assert caller.get(path).status_code == 404
    assert caller.delete(path).status_code == 404


def test_products_are_listed_by_whether_they_are_active(caller: Caller) -> None:
    made = [make(caller).json()["id"] for _ in range(3)]
    caller.put(f"/products/{made[1]}/archive")
    inactive = caller.get("/products", params={"active": "false", "pageSize": 100}).json()
    assert made[1] in [one["id"] for one in inactive["list"]]
    assert not any(one["active"] for one in inactive["list"])


def test_all_currencies_are_listed_and_each_can_be_read(caller: Caller) -> None:
    every = caller.get("/currencies").json()
    assert every["count"] == len(every["list"]) > 100
    yen = caller.get("/currencies/cur_jpy").json()
    assert yen == {
        "id": "cur_jpy", "object": "currency", "code": "JPY", "name": "Yen", "decimal": 0,
    }  # fmt: skip
    assert yen in every["list"]
    for wrong in ("JPY", "cur_JPY", "cur_xau", "cur_qqq"):
        assert caller.get(f"/currencies/{wrong}").status_code == 404


def test_a_key_that_may_only_read_makes_nothing(door, caller: Caller) -> None:
    with door.caller(scopes=["read"]) as reader:
        assert make(reader).json()["code"] == "insufficient_scope"
        price = caller.price(quantity_available=3)
        for method, path in (
            ("PUT", ""), ("PUT", "/archive"), ("PUT", "/inventory"), ("DELETE", ""),
        ):  # fmt: skip
            refused = reader.request(method, f"/prices/{price['id']}{path}", json={})
            assert refused.json()["code"] == "insufficient_scope"
        quoted = reader.post(f"/prices/{price['id']}/quote", json={"quantity": 2})
        assert quoted.json()["amount"] == 4000


def test_currencies_have_pages_for_those_who_want_them(caller: Caller) -> None:
    every = caller.get("/currencies").json()
    second = caller.get("/currencies", params={"page": 2, "pageSize": 2}).json()
    assert second == {"count": every["count"], "list": every["list"][2:4], "next_cursor": None}
    last = caller.get("/currencies", params={"order": "desc", "pageSize": 1, "livemode": "true"})
    assert last.json()["list"] == every["list"][-1:]
    for query, param in (({"foo": 2}, "foo"), ({"page": 0}, "page"), ({"pageSize": 0}, "pageSize")):
        refused = caller.get("/currencies", params=query)
        assert (refused.status_code, refused.json()["param"]) == (400, param)
