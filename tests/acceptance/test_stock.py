"""Two hundred want what there are fifty of, while processes die."""

import json
import os
import sys
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

from payments.audit.verify import is_sound, verify
from tests.support.examples import examples, run
from tests.support.house import House
from tests.support.programs import ROOT
from tests.support.sandbox import STATEMENTS
from tests.support.waiting import wait_for
from tests.support.web import Caller, insist, made_once

IN_STOCK, CALLERS, DECLINED = 50, 200, 20


def left(caller: Caller, price_id: str) -> int:
    return int(caller.get(f"/prices/{price_id}").json()["quantity_available"])


def reservations(town: House, price_id: str) -> Counter[str]:
    rows = town.witness.rows(
        "SELECT state, sum(quantity) AS units FROM reservations"
        " WHERE price_id = :id GROUP BY state",
        id=price_id,
    )
    return Counter({row["state"]: int(row["units"]) for row in rows})


def buy_at_once(
    caller: Caller, price_id: str, *, times: int, threads: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is answered to so many who buy one each: those accepted, and those refused."""

    def buy(key: str) -> Any:
        return insist(lambda: caller.buy(price_id, 1, key))

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(buy, [uuid.uuid4().hex for _ in range(times)]))
    accepted = [a.json() for a in answers if made_once([a])]
    refused = [a.json() for a in answers if a.status_code == 409]
    assert len(accepted) + len(refused) == times, Counter(a.status_code for a in answers)
    assert len({one["charge_id"] for one in accepted}) == len(accepted)
    return accepted, refused


def test_fifty_are_sold_and_what_is_declined_is_back(town: House, caller: Caller) -> None:
    price = caller.price(quantity_available=IN_STOCK)
    town.running["worker"].stop()

    accepted, refused = buy_at_once(caller, price["id"], times=CALLERS, threads=50)

    assert (len(accepted), len(refused)) == (IN_STOCK, CALLERS - IN_STOCK)
    assert {one["code"] for one in refused} == {"insufficient_inventory"}
    assert {(one["available"], one["requested"]) for one in refused} == {(0, 1)}
    assert left(caller, price["id"]) == 0
    assert reservations(town, price["id"]) == {"held": IN_STOCK}

    # Twenty of the cards turn out to be no good.
    unlucky = [one["charge_id"] for one in accepted[:DECLINED]]
    town.witness.rows(
        "UPDATE charges SET payment_method_id = 'pm_card_chargeDeclined'"
        " WHERE id = ANY(:ids) RETURNING 1",
        ids=unlucky,
    )
    town.start("worker")
    wait_for(
        lambda: town.witness.rows(
            "SELECT 1 FROM charges WHERE price_id = :id AND state <> 'pending'", id=price["id"]
        ),
        what="the first to be final",
        every_s=0.01,
    )
    town.running["worker"].kill()
    town.leases_end()
    town.start("worker")
    town.witness.wait_until_final([one["charge_id"] for one in accepted])

    assert left(caller, price["id"]) == DECLINED
    assert reservations(town, price["id"]) == {
        "sold": IN_STOCK - DECLINED, "released": DECLINED,
    }  # fmt: skip
    for charge_id in unlucky:
        assert town.witness.state(charge_id) == "failed"
    town.witness.testify()
    assert is_sound(list(verify(town.witness.engine, statements=STATEMENTS)))

    # What is back is for sale: that much of it, and no more.
    accepted, refused = buy_at_once(caller, price["id"], times=25, threads=25)
    assert (len(accepted), len(refused)) == (DECLINED, 5)
    town.witness.wait_until_final([one["charge_id"] for one in accepted])
    assert left(caller, price["id"]) == 0
    town.witness.testify()


def test_an_archived_price_takes_no_new_charges_while_pending_ones_finish(
    town: House, caller: Caller
) -> None:
    price = caller.price(quantity_available=5)
    town.running["worker"].stop()
    pending = caller.buy(price["id"], 2).json()
    assert caller.put(f"/prices/{price['id']}/archive").json()["active"] is False
    refused = caller.buy(price["id"], 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_inactive")
    town.start("worker")
    town.witness.wait_until_final([pending["charge_id"]])
    assert caller.get(f"/charges/{pending['charge_id']}").json()["state"] == "succeeded"
    refund = caller.refund(pending["charge_id"], restock=True).json()
    town.witness.wait_until_final([refund["refund_id"]])
    assert left(caller, price["id"]) == 5
    assert caller.delete(f"/prices/{price['id']}").json()["code"] == "price_in_use"
    town.witness.testify()


def test_what_is_asked_for_by_message_is_sold_and_refused_alike(
    town: House, caller: Caller
) -> None:
    price = caller.price(quantity_available=3, lookup_key=f"{caller.producer}-tea")
    none = {"amount": None, "currency": None}
    bought = town.charge(price_id=price["lookup_key"], quantity=3, **none)
    town.witness.wait_until_final([bought])
    row = town.witness.object(bought)
    assert row
    assert (row["amount"], row["currency"], row["price_id"]) == (6000, "USD", price["id"])
    too_late = town.charge(price_id=price["id"], quantity=1, **none)
    (refusal,) = wait_for(
        lambda: town.witness.rows(
            "SELECT * FROM rejected_requests WHERE object_id = :id", id=too_late
        ),
        what="the refusal",
    )
    assert (refusal["code"], refusal["param"]) == ("insufficient_inventory", "quantity")
    assert refusal["request"]["quantity"] == 1
    town.witness.wait_until_quiet()
    town.witness.testify()


def test_the_shell_of_the_prices_page_sells_what_it_says(
    town: House, caller: Caller, tmp_path: Path
) -> None:
    steps = examples((ROOT / "docs" / "how-to" / "sell-by-price.md").read_text(), "prices")
    environ = {**os.environ, "BILLING_URL": caller.url, "BILLING_API_KEY": caller.key}
    # Pasted again, it is the same product, price and charge.
    for _ in range(2):
        told = run(steps, scratch=tmp_path, folder=tmp_path, environ=environ)
        said = [json.loads(line) for one in told for line in one.text.splitlines()]
        price, quote, charge, left_over = said
        assert (quote["amount"], quote["price_id"]) == (6000, price["id"])
        assert (charge["state"], charge["amount"], charge["lines"]) == (
            "succeeded", 6000, quote["lines"],
        )  # fmt: skip
        assert left_over["quantity_available"] == 47
    town.witness.wait_until_quiet()
    town.witness.testify()


def test_the_commands_of_the_prices_page_sell_what_it_says(town: House, tmp_path: Path) -> None:
    steps = examples(
        (ROOT / "docs" / "how-to" / "sell-by-price.md").read_text(), "prices on the command line"
    )
    # `billing` as it is on a reader's path; the last word is ours.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):
        told = run(steps, scratch=tmp_path, folder=tmp_path, environ={**town.environ, "PATH": path})
        said = "".join(one.text for one in told)
        for words in (
            "graduated: up to 5 at 7.00 USD each; more at 6.00 USD each, every month",
            "units 1 to 5 at 7.00 USD each: 35.00 USD",
            "units 6 to 8 at 6.00 USD each: 18.00 USD",
            "53.00 USD",
            "succeeded",
        ):
            assert words in said
    town.witness.wait_until_quiet()
    town.witness.testify()


def test_receivers_are_told_how_much_is_left(town: House, caller: Caller) -> None:
    price = caller.price(quantity_available=3)
    charge = caller.buy(price["id"], 2).json()
    town.witness.wait_until_final([charge["charge_id"]])
    # By their numbers: what is due at once comes in any order.
    told = sorted(
        (
            request.json()
            for request in list(town.witness.sink.requests)
            if request.json()["data"].get("id") == price["id"]
        ),
        key=itemgetter("sequence"),
    )
    assert [(one["type"], one["sequence"]) for one in told] == [
        ("price.created", 1), ("price.inventory_changed", 2),
    ]  # fmt: skip
    assert told[1]["data"] == caller.get(f"/prices/{price['id']}").json()
    assert told[1]["data"]["quantity_available"] == 1
