"""Products, prices and stock on the command line, and charges by price."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing.contract.ids import id_from_key
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every

TIERED = ("--tier", "5:700", "--tier", "10:650:100", "--tier", "inf::60000")


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    """The service that works on what the commands wrote."""
    with counter(engine) as till:
        yield till


def done(billing: Billing, *arguments: str) -> Any:
    answer = billing(*arguments, "--json")
    assert answer.code == 0, answer
    return answer.json


def a_product(billing: Billing, *more: str) -> Any:
    return done(billing, "product", "create", "Tea, 100 g", *more)


def a_price(billing: Billing, *more: str) -> Any:
    """20.00 USD unless it is told otherwise."""
    product_id = a_product(billing)["id"]
    costs = () if {"--unit-amount", "--tier"} & {*more} else ("--unit-amount", "2000")
    currency = () if "--currency" in more else ("--currency", "USD")
    return done(billing, "price", "create", "--product", product_id, *currency, *costs, *more)


def test_a_product_from_its_making_to_its_end(billing: Billing) -> None:
    product = a_product(billing, "--key", "tea", "--description", "x", "--metadata", "a=1")
    assert product["id"] == id_from_key("product", producer="default", key="tea")
    assert (product["name"], product["livemode"]) == ("Tea, 100 g", False)
    again = a_product(billing, "--key", "tea", "--description", "x", "--metadata", "a=1")
    assert again == product
    assert done(billing, "product", "get", product["id"]) == product
    changed = done(
        billing, "product", "update", product["id"], "--name", "Tea", "--description", "",
        "--metadata", "b=2", "--unset", "a", "--inactive",
    )  # fmt: skip
    assert {n: changed[n] for n in ("name", "description", "metadata", "active")} == {
        "name": "Tea", "description": None, "metadata": {"b": "2"}, "active": False,
    }  # fmt: skip
    assert done(billing, "product", "update", product["id"], "--active")["active"] is True
    assert done(billing, "product", "archive", product["id"])["active"] is False
    other = a_product(billing)
    for arguments, ids in (
        ((), [other["id"], product["id"]]),
        (("--order", "asc"), [product["id"], other["id"]]),
        (("--active",), [other["id"]]),
        (("--inactive",), [product["id"]]),
        (("--limit", "1"), [other["id"]]),
    ):
        assert [one["id"] for one in done(billing, "product", "list", *arguments)] == ids
    gone = done(billing, "product", "delete", product["id"])
    assert gone == {"id": product["id"], "object": "product", "deleted": True}


def test_a_price_of_every_model_can_be_typed(billing: Billing) -> None:
    plain = a_price(billing, "--quantity", "50", "--lookup-key", "tea", "--nickname", "x")
    assert (plain["unit_amount"], plain["type"], plain["quantity_available"]) == (
        "2000", "one_time", 50,
    )  # fmt: skip
    packages = a_price(
        billing, "--currency", "cur_jpy", "--unit-amount", "300", "--divide-by", "10",
        "--round", "up",
    )  # fmt: skip
    assert packages["transform_quantity"] == {"divide_by": 10, "round": "up"}
    assert packages["currency_code"] == "JPY"
    tiered = a_price(
        billing, *TIERED, "--tiers-mode", "volume", "--interval", "month",
        "--interval-count", "3", "--usage-type", "metered", "--currency", "usd", "--inactive",
    )  # fmt: skip
    assert tiered["tiers"] == [
        {"up_to": 5, "unit_amount": "700", "flat_amount": "0"},
        {"up_to": 10, "unit_amount": "650", "flat_amount": "100"},
        {"up_to": "inf", "unit_amount": "0", "flat_amount": "60000"},
    ]
    assert tiered["recurring"] == {
        "interval": "month", "interval_count": 3, "usage_type": "metered",
    }  # fmt: skip
    assert (tiered["tiers_mode"], tiered["active"]) == ("volume", False)


def test_people_read_what_a_price_costs_and_what_is_left(billing: Billing) -> None:
    a_price(billing, "--lookup-key", "tea", "--quantity", "50")
    a_price(billing, "--currency", "JPY", "--divide-by", "10", "--round", "up")
    many = a_price(
        billing, *TIERED, "--tiers-mode", "graduated", "--interval", "month",
        "--interval-count", "3", "--usage-type", "metered",
    )  # fmt: skip
    shown = billing("price", "list").out
    assert "20.00 USD each" in shown
    assert "2000 JPY for every 10, rounded up" in shown
    assert (
        "graduated: up to 5 at 7.00 USD each; up to 10 at 6.50 USD each and 1.00 USD flat;"
        " more at 600.00 USD flat, every 3 months, metered"
        in billing("price", "get", many["id"]).out
    )
    assert "graduated, 3 tiers, the first at 7.00 USD, every 3 months, metered" in shown
    assert "without limit" in shown
    tea = billing("price", "get", "tea").out
    assert re.search(r"^quantity_available +50$", tea, re.MULTILINE)
    assert re.search(r"^product +Tea, 100 g$", tea, re.MULTILINE)
    assert "unit_amount" not in tea
    assert "{" not in tea
    quote = billing("price", "quote", "tea", "--quantity", "3").out
    assert "units 1 to 3 at 20.00 USD each: 60.00 USD" in quote


def fields(shown: str) -> dict[str, str]:
    """What a person reads of one object, by the names on the left."""
    return dict(line.strip().split(maxsplit=1) for line in shown.splitlines())


def read(billing: Billing, *arguments: str) -> str:
    """What a person reads."""
    answer = billing(*arguments)
    assert (answer.code, answer.err) == (0, ""), answer
    return answer.out


def test_every_command_answers_people_too(billing: Billing, till: Counter) -> None:
    made = fields(read(billing, "product", "create", "Tea", "--key", "tea"))
    product_id = made["id"]
    assert (made["object"], made["name"], made["active"]) == ("product", "Tea", "yes")
    assert fields(read(billing, "product", "get", product_id)) == made
    assert product_id in read(billing, "product", "list")
    renamed = fields(read(billing, "product", "update", product_id, "--name", "Green tea"))
    assert renamed["name"] == "Green tea"

    create = ("price", "create", "--product", product_id, "--currency", "USD", "--unit-amount")
    price = fields(read(billing, *create, "2000", "--quantity", "9", "--lookup-key", "tea"))
    assert (price["object"], price["costs"]) == ("price", "20.00 USD each")
    assert (price["product"], price["product_id"]) == ("Green tea", product_id)
    assert fields(read(billing, "price", "get", "tea")) == price
    assert price["id"] in read(billing, "price", "list")
    assert (
        fields(read(billing, "price", "quote", "tea", "--quantity", "2"))["amount"] == "40.00 USD"
    )
    counted = fields(read(billing, "price", "inventory", "tea", "--increment", "1"))
    assert counted["quantity_available"] == "10"
    named = fields(read(billing, "price", "update", "tea", "--nickname", "x"))
    assert named["nickname"] == "x"
    assert fields(read(billing, "price", "archive", "tea"))["active"] == "no"
    assert fields(read(billing, "price", "update", "tea", "--active"))["active"] == "yes"

    by_price = ("charge", "create", "--price", "tea", "--quantity", "1")
    charge = fields(read(billing, *by_price))
    assert (charge["object"], charge["amount"]) == ("charge", "20.00 USD")
    till.go_on(charge["charge_id"])
    assert fields(read(billing, "charge", "get", charge["charge_id"]))["state"] == "succeeded"
    assert charge["charge_id"] in read(billing, "charge", "list")
    refund = fields(read(billing, "refund", "create", charge["charge_id"], "--restock"))
    assert (refund["object"], refund["state"]) == ("refund", "pending (queued)")
    till.go_on(refund["refund_id"])
    assert fields(read(billing, "refund", "get", refund["refund_id"]))["state"] == "succeeded"
    assert refund["refund_id"] in read(billing, "refund", "list")

    other = fields(read(billing, *create, "1"))["id"]
    gone = fields(read(billing, "price", "delete", other))
    assert gone == {"id": other, "object": "price", "deleted": "yes"}
    assert fields(read(billing, "product", "archive", product_id))["active"] == "no"
    unsold = fields(read(billing, "product", "create", "Coffee"))["id"]
    gone = fields(read(billing, "product", "delete", unsold))
    assert gone == {"id": unsold, "object": "product", "deleted": "yes"}
    assert "US Dollar" in read(billing, "currency", "list")


def test_files_of_charges_and_refunds_answer_people_too(
    billing: Billing, till: Counter, tmp_path: Path
) -> None:
    charge_id = till.charge()["id"]
    for kind, header, line in (
        ("charge", "amount,currency", "1999,USD"),
        ("refund", "charge_id,amount", f"{charge_id},5"),
    ):
        file = tmp_path / f"{kind}.csv"
        file.write_text(f"{header}\n{line}\n")
        assert fields(read(billing, kind, "import", str(file), "--dry-run"))["lines"] == "1"
        assert fields(read(billing, kind, "import", str(file)))["new"].startswith("1")


def test_lists_of_prices_are_narrowed_down(billing: Billing) -> None:
    tea = a_price(billing, "--lookup-key", "tea", "--interval", "year")
    yen = a_price(billing, "--currency", "JPY", "--inactive")
    for arguments, found in (
        ((), [yen, tea]),
        (("--order", "asc"), [tea, yen]),
        (("--limit", "1"), [yen]),
        (("--product", tea["product_id"]), [tea]),
        (("--currency", "jpy"), [yen]),
        (("--currency", "cur_usd"), [tea]),
        (("--type", "recurring"), [tea]),
        (("--type", "one_time"), [yen]),
        (("--lookup-key", "tea"), [tea]),
        (("--active",), [tea]),
        (("--inactive",), [yen]),
    ):
        assert done(billing, "price", "list", *arguments) == found
    assert billing("price", "list", "--currency", "EUR").err == "no prices\n"
    assert "`billing currency list`" in billing("price", "list", "--currency", "XYZ").err


def test_a_lookup_key_is_moved_and_taken_away(billing: Billing) -> None:
    old = a_price(billing, "--lookup-key", "tea")
    new = a_price(billing, "--lookup-key", "tea", "--transfer-lookup-key")
    assert done(billing, "price", "get", "tea")["id"] == new["id"]
    refused = billing("price", "update", old["id"], "--lookup-key", "tea")
    assert "[lookup_key_in_use: lookup_key]" in refused.err
    assert f"the price {new['id']} has this lookup key" in refused.err
    back = done(
        billing, "price", "update", old["id"], "--lookup-key", "tea", "--transfer-lookup-key",
        "--nickname", "old", "--metadata", "a=1",
    )  # fmt: skip
    assert (back["lookup_key"], back["nickname"], back["metadata"]) == ("tea", "old", {"a": "1"})
    emptied = done(
        billing, "price", "update", "tea", "--lookup-key", "", "--nickname", "", "--unset", "a",
        "--inactive",
    )  # fmt: skip
    assert (emptied["lookup_key"], emptied["nickname"], emptied["metadata"]) == (None, None, {})
    assert emptied["active"] is False
    assert done(billing, "price", "update", old["id"], "--active")["active"] is True
    assert done(billing, "price", "archive", old["id"])["active"] is False
    gone = done(billing, "price", "delete", old["id"])
    assert gone == {"id": old["id"], "object": "price", "deleted": True}


def test_stock_is_counted_once_per_key(billing: Billing) -> None:
    a_price(billing, "--lookup-key", "tea", "--quantity", "50")
    for _ in range(2):
        more = done(billing, "price", "inventory", "tea", "--increment", "5", "--key", "delivery-1")
        assert more["quantity_available"] == 55
    assert (
        done(billing, "price", "inventory", "tea", "--decrement", "6")["quantity_available"] == 49
    )
    assert (
        done(billing, "price", "inventory", "tea", "--decrement", "6")["quantity_available"] == 43
    )
    short = billing("price", "inventory", "tea", "--decrement", "44", "--json")
    assert short.error["code"] == "insufficient_inventory"
    assert short.error["detail"].startswith("43 are left, and 44 were asked for")


def test_a_charge_by_price_is_taken_from_stock_and_comes_back(
    billing: Billing, till: Counter
) -> None:
    price = a_price(billing, "--lookup-key", "tea", "--quantity", "50")
    charge = done(billing, "charge", "create", "--price", "tea", "--quantity", "3", "--key", "o-1")
    assert (charge["amount"], charge["currency"]) == (6000, "USD")
    assert (charge["price_id"], charge["quantity"]) == (price["id"], 3)
    assert done(billing, "price", "get", "tea")["quantity_available"] == 47
    till.go_on(charge["charge_id"])
    shown = billing("charge", "get", charge["charge_id"]).out
    assert "units 1 to 3 at 20.00 USD each: 60.00 USD" in shown
    assert "{" not in shown

    some = done(
        billing, "refund", "create", charge["charge_id"], "--amount", "2000", "--restock",
        "--restock-quantity", "1",
    )  # fmt: skip
    assert (some["restock"], some["restock_quantity"]) == (True, 1)
    till.go_on(some["refund_id"])
    assert done(billing, "price", "get", "tea")["quantity_available"] == 48
    rest = done(billing, "refund", "create", charge["charge_id"], "--restock")
    till.go_on(rest["refund_id"])
    assert done(billing, "price", "get", "tea")["quantity_available"] == 50
    assert re.search(
        r"^restock +yes$", billing("refund", "get", rest["refund_id"]).out, re.MULTILINE
    )


def test_charges_are_listed_by_price(billing: Billing, till: Counter) -> None:
    tea, coffee = till.price(lookup_key="tea"), till.price()
    by_tea = till.buy("tea", 1)["id"]
    till.buy(coffee["id"], 1)
    till.charge()
    for name in ("tea", tea["id"]):
        (found,) = done(billing, "charge", "list", "--price", name)
        assert found["charge_id"] == by_tea
    refused = billing("charge", "list", "--price", "cocoa")
    assert (refused.code, refused.out) == (1, "")
    assert "there is no price with this lookup key" in refused.err


def test_who_takes_no_goods_back_reads_nothing_of_them(billing: Billing, till: Counter) -> None:
    refund = till.refund(till.charge()["id"])
    assert "restock" not in billing("refund", "get", refund["id"]).out


def test_currencies_are_those_of_iso_4217(billing: Billing) -> None:
    found = {one["code"]: one for one in done(billing, "currency", "list")}
    assert found["JPY"] == {
        "id": "cur_jpy", "object": "currency", "code": "JPY", "name": "Yen", "decimal": 0,
    }  # fmt: skip
    assert "XXX" not in found
    assert re.search(r"^cur_usd +USD +US Dollar +2$", billing("currency", "list").out, re.MULTILINE)


WHAT_TO_TAKE = "give --amount and --currency, or --price and --quantity"


@every(
    "arguments, because",
    [
        (("charge", "create", "--amount", "5"), f"Error: {WHAT_TO_TAKE}\n"),
        (("charge", "create", "--price", "tea"), f"Error: {WHAT_TO_TAKE}\n"),
        (("charge", "create"), f"Error: {WHAT_TO_TAKE}\n"),
        (("price", "create", "--currency", "USD", "--unit-amount", "5"), "--product"),
        (("price", "create", "--product", "p", "--currency", "USD", "--tier", "5"), "5:700"),
        (("price", "create", "--product", "p", "--currency", "USD", "--tier", "1:2:3:4"), "5:700"),
        (("price", "quote", "tea"), "--quantity"),
        (("price", "inventory", "tea"), "Error: give one of --increment and --decrement\n"),
        (
            ("price", "inventory", "tea", "--increment", "1", "--decrement", "1"),
            "Error: give one of --increment and --decrement\n",
        ),
        (("price", "get"), "Usage: billing price get [OPTIONS] PRICE\n"),
        (("price", "get"), "Missing argument 'PRICE'"),
        (("price", "update", "tea", "--metadata", "a=1", "--unset", "a"), "'a' is set, too"),
        (("price", "list", "--type", "weekly"), "one_time"),
        (("price", "list", "--order", "up"), "desc"),
        (("product", "create"), "[OPTIONS] NAME\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2_and_says_what_is_right(
    billing: Billing, arguments: tuple[str, ...], because: str
) -> None:
    told = billing(*arguments)
    assert (told.code, told.out) == (2, "")
    assert because in told.err


PRICE = ("price", "create", "--product", "prod_" + "a" * 32, "--currency", "USD")


@every(
    "arguments, because",
    [
        ((*PRICE,), "--unit-amount is required, unless there are tiers [invalid_request: unit"),
        ((*PRICE, "--unit-amount", "19.99"), "for USD 19.99 send --unit-amount 1999"),
        ((*PRICE, "--unit-amount", "5"), "there is no product with this id [invalid_request: pro"),
        (
            (*PRICE, "--unit-amount", "5", "--divide-by", "2"),
            "transform_quantity.round is required",
        ),
        ((*PRICE, "--unit-amount", "5", "--usage-type", "metered"), "recurring.interval is requ"),
        ((*PRICE, "--tier", "5:x", "--tiers-mode", "volume"), "tiers[0].unit_amount"),
        ((*PRICE, "--tier", "many:5", "--tiers-mode", "volume"), "tiers[0].up_to"),
        ((*PRICE, "--tier", "5:5"), "must be open"),
        ((*PRICE, "--tier", "inf:5"), "--tiers-mode is required with tiers: graduated or volume"),
        (("price", "create", "--product", "x", "--currency", "USD"), "(prod_…) [invalid_request"),
        (("price", "get", "tea"), "there is no price with this id or lookup key [not_found: id]"),
        (("price", "quote", "tea", "--quantity", "1"), "[not_found: id]"),
        (("price", "quote", "tea", "--quantity", "-1"), "[invalid_request: quantity]"),
        (("price", "inventory", "tea", "--increment", "0"), "[invalid_request: quantity]"),
        (("price", "archive", "tea"), "[not_found: id]"),
        (("product", "get", "tea"), "there is no product with this id [not_found: id]"),
        (("product", "create", "a\x07"), "NAME: must not contain control characters"),
        (("charge", "create", "--price", "tea", "--quantity", "1"), "[invalid_request: price_id]"),
        (
            ("charge", "create", "--price", "tea", "--quantity", "1", "--amount", "5"),
            "amount is what the price says",
        ),
        (("charge", "create", "--price", "tea", "--quantity", "1.5"), "quantity must be an int"),
        (
            ("refund", "create", "ch_" + "a" * 32, "--restock-quantity", "1"),
            "send --restock, too",
        ),
        (
            ("refund", "create", "ch_" + "a" * 32, "--restock", "--amount", "1"),
            "--restock-quantity is req",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_refused_is_one_line_that_says_what_to_do(
    billing: Billing, arguments: tuple[str, ...], because: str
) -> None:
    told = billing(*arguments)
    assert (told.code, told.out) == (1, "")
    assert told.err.count("\n") == 1
    assert because in told.err
