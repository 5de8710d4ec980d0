"""Exports and reports over HTTP: the same as the commands give, of those whom the key sees."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.every import every
from tests.support.factories import SUCCEEDED, Till
from tests.support.web import Caller, Web

NOW = datetime.now(UTC)
TIMES = {"from": (NOW - timedelta(days=1)).isoformat(), "to": (NOW + timedelta(days=1)).isoformat()}


def paid(caller: Caller, till: Till, **fields: Any) -> str:
    id_: str = caller.charge(**fields).json()["charge_id"]
    till.settle(till.claim(id_), SUCCEEDED)
    return id_


def test_a_producer_exports_its_own_charges(caller: Caller, door: Web, till: Till) -> None:
    mine = paid(caller, till, amount=1999)
    with door.caller() as other:
        paid(other, till)
    answer = caller.get("/exports/charges", params=TIMES)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="charges.csv"'
    head, row = answer.text.splitlines()
    assert head.startswith("charge_id,created_at,settled_at,state,currency,amount,")
    assert row.startswith(f"{mine},")
    assert ",succeeded,USD,19.99," in row


def test_every_format_is_answered(caller: Caller, till: Till) -> None:
    id_ = paid(caller, till)
    lines = caller.get("/exports/charges", params={**TIMES, "format": "jsonl"}).text.splitlines()
    assert [json.loads(line)["charge_id"] for line in lines] == [id_]
    for format_ in ("hledger", "beancount"):
        journal = caller.get("/exports/ledger", params={**TIMES, "format": format_}).text
        assert f"charge {id_}" in journal


def test_a_report_is_of_those_whom_the_key_sees(caller: Caller, door: Web, till: Till) -> None:
    paid(caller, till, amount=1999)
    with door.caller() as other:
        paid(other, till)
    (day,) = caller.get("/reports/day", params=TIMES).json()["data"]
    assert (day["currency"], day["gross"], day["net"], day["payouts"]) == ("USD", 1999, 1999, 0)
    with door.caller(all_producers=True) as operator:
        days = operator.get("/reports/month", params=TIMES).json()["data"]
    assert sum(one["gross"] for one in days if one["currency"] == "USD") > 1999


@every(
    "path, params, status",
    [
        ("/exports/charges", {}, 400),
        ("/exports/charges", {**TIMES, "format": "xls"}, 400),
        ("/exports/charges", {**TIMES, "by": "hand"}, 400),
        ("/exports/charges", {"from": TIMES["to"], "to": TIMES["from"]}, 400),
        ("/exports/customers", TIMES, 400),
        ("/reports/year", TIMES, 400),
        ("/reports/day", {**TIMES, "more": "1"}, 400),
        ("/reports/day", {"from": "2020-01-01T00:00:00Z", "to": TIMES["to"]}, 400),
    ],
)
def test_what_is_wrong_is_said(
    caller: Caller, path: str, params: dict[str, str], status: int
) -> None:
    answer = caller.get(path, params=params)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_last_day_of_all_is_a_day(caller: Caller) -> None:
    times = {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    answer = caller.get("/reports/day", params=times)
    assert (answer.status_code, answer.json()) == (200, {"data": []})


def test_a_key_without_the_scope_gets_nothing(door: Web) -> None:
    with door.caller(scopes=["prices:read"]) as caller:
        assert caller.get("/exports/ledger", params=TIMES).status_code == 403
        assert caller.get("/reports/day", params=TIMES).status_code == 403
