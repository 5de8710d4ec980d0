"""Imports on the command line: what is sent, what is said, and what a second try does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from cli.importing import command, tally
from infra.billing.contract.ids import id_from_key
from payments.payment_errors import PriceInactive
from payments.transaction import Database
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.programs import Programs
from tests.support.waiting import wait_for
from tests.support.webhooks import rows


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


def a_file(folder: Path, text: str, name: str = "charges.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def many(number: int) -> str:
    return "amount,currency\n" + "".join(f"{n},USD\n" for n in range(1, number + 1))


def charges(engine: Engine) -> list[tuple[str, int]]:
    found = rows(engine, "SELECT idempotency_key, amount FROM charges ORDER BY created_at, id")
    return sorted((row["idempotency_key"], row["amount"]) for row in found)


def test_a_file_is_sent_and_started_again_it_repeats(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    file = a_file(tmp_path, many(150))
    told = billing("charge", "import", file)
    assert told.code == 0, told
    assert "150, 113.25 USD" in told.out
    assert len(charges(engine)) == 150
    assert "nothing is new" in billing("charge", "import", file).err
    again = billing("charge", "import", file, "--json").json
    assert (again["lines"], again["new"], again["repeated"], again["refused"]) == (150, 0, 150, 0)
    assert again["amounts"] == {"USD": {"repeated": 11_325}}
    assert len(charges(engine)) == 150
    assert [path.name for path in tmp_path.glob("*charges*")] == ["charges.csv"]


def test_a_charge_of_a_file_is_the_charge_of_its_key(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    text = 'amount,currency,idempotency_key,metadata.cart\n5,usd,order-1,"7"\n'
    billing("charge", "import", a_file(tmp_path, text), "--producer", "shop")
    (row,) = rows(engine, "SELECT * FROM charges")
    assert row["id"] == id_from_key("charge", producer="shop", key="order-1")
    assert (row["currency"], row["metadata"], row["phase"]) == ("USD", {"cart": "7"}, "queued")
    assert rows(engine, "SELECT * FROM events") == []


def test_one_invalid_line_holds_everything_back(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    file = a_file(tmp_path, "amount,currency\n5,USD\n19.99,USD\n")
    told = billing("charge", "import", file)
    assert told.code == 1
    assert "line 3: amount must be a whole number of minor units" in told.err
    assert "1 line refused; nothing was sent [lines_refused]" in told.err
    assert charges(engine) == []
    skipped = billing("charge", "import", file, "--skip-invalid", "--json")
    assert skipped.code == 1
    assert (skipped.json["new"], skipped.json["refused"]) == (1, 1)
    assert skipped.json["reasons"][0]["line"] == 3
    assert skipped.json["reasons"][0]["param"] == "amount"
    assert skipped.error["code"] == "lines_refused"


def test_refused_lines_are_mended_and_imported(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    file = a_file(tmp_path, "amount,currency\n5,USD\n19.99,USD\n")
    refused = tmp_path / "charges.refused.csv"
    billing("charge", "import", file, "--skip-invalid")
    refused.write_text(refused.read_text().replace("19.99,", "1999,"))
    assert billing("charge", "import", str(refused)).code == 0
    assert charges(engine) == [("import:charges.csv:2", 5), ("import:charges.csv:3", 1999)]
    # Also when the file itself is mended and imported again.
    file = a_file(tmp_path, "amount,currency\n5,USD\n1999,USD\n")
    assert billing("charge", "import", file, "--json").json["repeated"] == 2


def test_a_dry_run_sends_nothing_and_needs_no_database(
    billing: Billing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/none")
    told = billing("charge", "import", a_file(tmp_path, many(3)), "--dry-run", "--json")
    assert told.code == 0
    assert (told.json["valid"], told.json["sent"]) == (3, False)
    wrong = a_file(tmp_path, "amount,currency\n0,USD\n", "wrong.csv")
    elsewhere = tmp_path / "there.csv"
    told = billing("charge", "import", wrong, "--dry-run", "--refused", str(elsewhere))
    assert told.code == 1
    assert "at least 1 minor unit" in elsewhere.read_text()


def test_many_refused_lines_are_on_the_screen_in_part_and_in_a_file_all(
    billing: Billing, tmp_path: Path
) -> None:
    file = a_file(tmp_path, "amount,currency\n" + "0,USD\n" * 100)
    told = billing("charge", "import", file)
    assert told.err.count("\nline ") == 19
    refused = tmp_path / "charges.refused.csv"
    assert f"… and 80 lines more, in {refused}" in told.err
    assert len(refused.read_text().splitlines()) == 101
    assert refused.stat().st_mode & 0o777 == 0o600


def test_a_file_whose_lines_have_moved_charges_nobody_twice(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    billing("charge", "import", a_file(tmp_path, many(3)))
    before = charges(engine)
    moved = a_file(tmp_path, many(3).replace("1,USD", "9,USD\n1,USD", 1))
    for arguments in ((), ("--skip-invalid",)):
        told = billing("charge", "import", moved, *arguments)
        assert (told.code, told.out) == (1, "")
        assert "line 2 is not what it was when a file of this name was imported" in told.err
    assert charges(engine) == before
    assert billing("charge", "import", a_file(tmp_path, many(4)), "--json").json["new"] == 1


def test_what_only_the_books_can_refuse_is_refused_when_it_is_sent(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    billing("charge", "create", "--amount", "5", "--currency", "USD", "--reference", "R1")
    text = "amount,currency,reference\n6,USD,R1\n7,USD,R2\n"
    told = billing("charge", "import", a_file(tmp_path, text), "--json")
    assert told.code == 1
    assert (told.json["new"], told.json["refused"]) == (1, 1)
    assert told.json["reasons"][0]["param"] == "reference"
    assert len(charges(engine)) == 2
    assert "R1" in (tmp_path / "charges.refused.csv").read_text()


def test_two_charges_for_one_order_in_a_file_are_found_before_anything_is_sent(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    lines = ["5,USD,R1,a", "6,USD,R2,b", "5,USD,R1,a", "7,USD,R1,c"]
    text = "\n".join(["amount,currency,reference,idempotency_key", *lines])
    file = a_file(tmp_path, text)
    for options in (("--dry-run",), ()):
        told = billing("charge", "import", file, *options)
        assert told.code == 1
        assert "line 5: its reference stands in line 2, with another key" in told.err
    assert charges(engine) == []


def test_of_two_charges_for_one_order_the_first_is_sent(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    # Rows are written in the order of their ids: here the second's comes first.
    keys = sorted("abcdef", key=lambda key: id_from_key("charge", producer="default", key=key))
    lines = [f"5,USD,R1,{keys[-1]}", f"7,USD,R1,{keys[0]}", f"9,USD,R2,{keys[1]}"]
    text = "\n".join(["amount,currency,reference,idempotency_key", *lines])
    told = billing("charge", "import", a_file(tmp_path, text), "--skip-invalid", "--json")
    assert (told.json["new"], told.json["refused"]) == (2, 1)
    assert sorted(amount for _key, amount in charges(engine)) == [5, 9]


def test_an_import_that_breaks_off_says_so_and_goes_on_when_started_again(
    billing: Billing, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    file, begin, begun = a_file(tmp_path, many(200)), Database.transaction, []

    def then_the_database_goes(self: Database) -> Any:
        begun.append(1)
        if len(begun) > 2:
            raise OperationalError("", {}, Exception("server closed the connection"))
        return begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", then_the_database_goes)
        told = billing("charge", "import", file)
    assert told.code == 1
    assert "broke off when 128 lines were sent; start it again" in told.err
    assert "Traceback" not in told.err
    assert len(charges(engine)) == 128
    again = billing("charge", "import", file, "--json").json
    assert (again["new"], again["repeated"]) == (72, 128)


def test_a_large_import_leaves_most_of_the_waking_to_the_sweep(
    billing: Billing, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WAITING_MAX", 100)
    assert billing("charge", "import", a_file(tmp_path, many(400)), "--json").json["new"] == 400
    assert redis.Redis.from_url(redis_url).llen("payments") == 128


def test_json_lines_are_imported_likewise(billing: Billing, engine: Engine, tmp_path: Path) -> None:
    lines = [
        {"amount": 5, "currency": "USD", "idempotency_key": "a"},
        {"amount": 5, "currency": "USD", "idempotency_key": "a"},
        {"amount": 700, "currency": "JPY"},
    ]
    file = a_file(tmp_path, "\n".join(map(json.dumps, lines)), "charges.jsonl")
    told = billing("charge", "import", file, "--json").json
    assert (told["new"], told["repeated"]) == (2, 1)
    assert told["amounts"] == {"USD": {"new": 5, "repeated": 5}, "JPY": {"new": 700}}
    assert [key for key, _ in charges(engine)] == ["a", "import:charges.jsonl:3"]


def test_refunds_are_imported_likewise(
    billing: Billing, till: Counter, engine: Engine, tmp_path: Path
) -> None:
    charge = till.charge(amount=1000, currency="EUR")
    text = f"charge_id,amount,reason\n{charge['id']},300,broken\n{charge['id']},800,\n"
    told = billing("refund", "import", a_file(tmp_path, text, "refunds.csv"), "--json")
    assert told.code == 1
    assert (told.json["new"], told.json["refused"]) == (1, 1)
    assert told.json["amounts"] == {"EUR": {"new": 300}}
    assert "is left to refund" in told.json["reasons"][0]["because"]


# --- By price ---


def left(till: Counter, price_id: str) -> int:
    (row,) = till.query("SELECT quantity_available FROM prices WHERE id = :id", id=price_id)
    return int(row["quantity_available"])


def test_charges_by_price_are_imported_and_their_stock_is_held(
    billing: Billing, till: Counter, engine: Engine, tmp_path: Path
) -> None:
    tea = till.price(quantity_available=10, lookup_key="tea")
    coffee = till.price(unit_amount="300")
    lines = [",,tea,3", "500,USD,,", f",,{coffee['id']},2", ",,tea,4"]
    file = a_file(tmp_path, "\n".join(["amount,currency,price_id,quantity", *lines]))

    checked = billing("charge", "import", file, "--dry-run")
    assert checked.code == 0, checked
    said = " ".join(checked.out.split())
    assert "valid 4, 5.00 USD" in said
    assert f"valid by price 3: 7 of tea, 2 of {coffee['id']}; what they come to is" in said
    assert left(till, tea["id"]) == 10

    told = billing("charge", "import", file)
    assert told.code == 0, told
    said = " ".join(told.out.split())
    assert "new 4, 151.00 USD" in said
    assert f"new by price 3: 7 of tea, 2 of {coffee['id']} " in said
    found = rows(engine, "SELECT price_id, quantity, amount FROM charges ORDER BY amount")
    assert [(row["price_id"], row["quantity"], row["amount"]) for row in found] == [
        (None, None, 500),
        (coffee["id"], 2, 600),
        (tea["id"], 3, 6000),
        (tea["id"], 4, 8000),
    ]
    assert left(till, tea["id"]) == 3


def test_an_import_by_price_that_is_started_again_takes_nothing_twice(
    billing: Billing, till: Counter, tmp_path: Path
) -> None:
    tea = till.price(quantity_available=7, lookup_key="tea")
    file = a_file(tmp_path, "price_id,quantity\ntea,3\ntea,4\n")
    first = billing("charge", "import", file, "--json").json
    assert first["prices"] == {"tea": {"new": {"charges": 2, "quantity": 7}}}
    assert first["amounts"] == {"USD": {"new": 14_000}}
    assert "other_prices" not in first
    # All of it is gone: a repeat asks for none.
    again = billing("charge", "import", file, "--json")
    assert again.code == 0, again
    assert again.json["prices"] == {"tea": {"repeated": {"charges": 2, "quantity": 7}}}
    assert again.json["amounts"] == {"USD": {"repeated": 14_000}}
    assert left(till, tea["id"]) == 0
    # Another quantity in the place of a line is another request.
    told = billing("charge", "import", a_file(tmp_path, "price_id,quantity\ntea,3\ntea,5\n"))
    assert "line 3 is not what it was" in told.err


def test_a_dry_run_counts_prices_without_a_database(
    billing: Billing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/none")
    monkeypatch.setattr(tally, "PRICES_MAX", 12)
    lines = "".join(f"price-{n},2\n" for n in range(12)) + "price-12,5\n"
    file = a_file(tmp_path, "price_id,quantity\n" + lines + "4242424242424242,5\n")
    told = billing("charge", "import", file, "--dry-run", "--json").json
    assert (told["valid"], told["amounts"], len(told["prices"])) == (13, {}, 12)
    # Whoever puts a card number into the wrong column must not find it in a log.
    assert [(of["line"], of["param"]) for of in told["reasons"]] == [(15, "price_id")]
    assert "4242424242424242" not in json.dumps(told)
    assert told["prices"]["price-11"] == {"valid": {"charges": 1, "quantity": 2}}
    assert told["other_prices"] == {"valid": {"charges": 1, "quantity": 5}}
    said = " ".join(billing("charge", "import", file, "--dry-run").out.split())
    assert "valid by price 13: 2 of price-0," in said
    assert "2 of price-9, 9 of other prices;" in said


def test_what_can_not_be_sold_is_refused_as_at_every_door_and_the_others_are_sold(
    billing: Billing, till: Counter, tmp_path: Path
) -> None:
    tea = till.price(quantity_available=5, lookup_key="tea")
    old = till.price()
    till.query("UPDATE prices SET active = false WHERE id = :id", id=old["id"])
    lines = ["tea,4", "cofee,1", "tea,2", f"{old['id']},1", "tea,1", "tea,1.5"]
    file = a_file(tmp_path, "\n".join(["price_id,quantity", *lines]))
    # What the books need not be asked for holds everything back.
    assert billing("charge", "import", file, "--json").json["sent"] is False
    assert left(till, tea["id"]) == 5

    told = billing("charge", "import", file, "--skip-invalid", "--json")
    assert told.code == 1
    assert (told.json["new"], told.json["refused"]) == (2, 4)
    assert [(of["line"], of["param"], of["because"]) for of in told.json["reasons"]] == [
        (3, "price_id", "there is no price with this id or lookup key"),
        # What is left when all of its batch were served.
        (4, "quantity", "0 are left, and 2 were asked for; ask for no more than there are"),
        (5, "price_id", str(PriceInactive())),
        (7, "quantity", "quantity must be an integer"),
    ]
    assert told.json["prices"] == {"tea": {"new": {"charges": 2, "quantity": 5}}}
    assert left(till, tea["id"]) == 0

    # There is more of it, and the rest is mended.
    till.adjust(tea["id"], "increment", 2)
    refused = tmp_path / "charges.refused.csv"
    kept = [line for line in refused.read_text().splitlines(keepends=True) if old["id"] not in line]
    refused.write_text("".join(kept).replace("cofee,1", "tea,1").replace("tea,1.5", "tea,1"))
    told = billing("charge", "import", str(refused), "--json")
    assert (told.json["new"], told.json["refused"]) == (2, 1)
    assert left(till, tea["id"]) == 0


@pytest.mark.parametrize("wrong", ["cofee", "old"])
def test_a_price_that_takes_no_charges_holds_everything_back(
    billing: Billing, till: Counter, tmp_path: Path, wrong: str
) -> None:
    tea, old = till.price(quantity_available=5, lookup_key="tea"), till.price(lookup_key="old")
    file = a_file(tmp_path, "price_id,quantity\nold,1\ntea,4\n")
    assert billing("charge", "import", file).code == 0
    till.query("UPDATE prices SET active = false WHERE id = :id", id=old["id"])
    # What was sent before is still itself, whatever has become of its price.
    assert billing("charge", "import", file, "--json").json["repeated"] == 2

    file = a_file(tmp_path, f"price_id,quantity\nold,1\ntea,4\n{wrong},1\ntea,1\n")
    told = billing("charge", "import", file, "--json")
    assert (told.code, told.json["sent"], told.json["refused"]) == (1, False, 1)
    (of,) = told.json["reasons"]
    assert (of["line"], of["param"]) == (4, "price_id")
    assert left(till, tea["id"]) == 1


def test_goods_that_come_back_with_imported_refunds_are_for_sale_again(
    billing: Billing, programs: Programs, till: Counter, tmp_path: Path
) -> None:
    tea = till.price(quantity_available=10, lookup_key="tea")
    sales = a_file(tmp_path, "price_id,quantity,idempotency_key\ntea,6,a\ntea,4,b\n")
    assert billing("charge", "import", sales).code == 0
    programs.start("worker")
    wait_for(
        lambda: till.query("SELECT 1 FROM charges WHERE state = 'succeeded'")[1:], what="both sales"
    )
    assert left(till, tea["id"]) == 0

    a, b = (id_from_key("charge", producer="default", key=key) for key in "ab")
    lines = [f"{a},2000,true,2", f"{b},,true,", f"{a},2000,false,", f"{b},2000,true,1"]
    refunds = "\n".join(["charge_id,amount,restock,restock_quantity", *lines])
    told = billing("refund", "import", a_file(tmp_path, refunds, "refunds.csv"), "--json")
    assert told.code == 1
    assert (told.json["new"], told.json["refused"], told.json["prices"]) == (3, 1, {})
    assert told.json["reasons"][0]["line"] == 5
    wait_for(
        lambda: till.query("SELECT 1 FROM refunds WHERE state = 'succeeded'")[2:],
        what="all refunds",
    )
    assert left(till, tea["id"]) == 2 + 4
    assert billing("verify").code == 0


def test_more_goods_than_are_out_do_not_come_back(
    billing: Billing, till: Counter, tmp_path: Path
) -> None:
    tea = till.price(quantity_available=10)
    sold = till.buy(tea["id"], 3)
    file = a_file(
        tmp_path,
        f"charge_id,restock,restock_quantity\n{sold['id']},true,4\n{sold['id']},true,\n",
        "refunds.csv",
    )
    told = billing("refund", "import", file, "--json")
    assert (told.json["new"], told.json["refused"]) == (1, 1)
    (reason,) = told.json["reasons"]
    assert (reason["line"], reason["param"]) == (2, "restock_quantity")
    assert "3 units of this charge can come back" in reason["because"]
    (row,) = till.query("SELECT id FROM refunds")
    till.go_on(row["id"])
    assert left(till, tea["id"]) == 10


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.csv", "there is no such file"),
        ("charges.txt", "the name must end in .csv, .jsonl"),
        (".", "the name must end in"),
        ("folder.csv", "there is no such file"),
    ],
)
def test_what_is_no_file_is_said(billing: Billing, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "charges.txt").touch()
    told = billing("charge", "import", str(tmp_path / name))
    assert (told.code, told.out) == (1, "")
    assert said in told.err
