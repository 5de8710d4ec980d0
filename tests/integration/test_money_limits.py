"""What a processor doesn't take is refused at every door, at once, and with what to send."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra import billing as sdk
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.lifecycle.accepting import charges
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from service.settings import load
from service.wiring import REAL
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.nursery import Nursery
from tests.support.sdk import sdk_of
from tests.support.web import web
from tests.support.webhooks import rows
from worker.task_handlers import TaskHandlers

LIMITS = "USD:50-99999999,KWD:100-99999990/10"
TOO_SMALL = "amount must be at least 0.50 USD at the processor sandbox; send amount=50 or more"
ODD = (
    "amount must be a multiple of 10 in KWD at the processor sandbox;"
    " send amount=1230 or amount=1240"
)
CENT: Mapping[str, Any] = {"amount": 1, "currency": "USD"}
FILS: Mapping[str, Any] = {"amount": 1235, "currency": "KWD"}


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_SANDBOX_LIMITS", LIMITS)


def accepted_before(engine: Engine, *, key: str, producer: str = "default") -> str:
    """A charge of one cent, as it was accepted before there were limits."""
    request = parse(ChargeRequest, {**CENT, "idempotency_key": key, "producer": producer})
    with Database(engine).transaction() as transaction:
        charges.accept(transaction, [charges.NewCharge(request, "sandbox")])
    return request.id


def kept(engine: Engine) -> int:
    return len(rows(engine, "SELECT 1 FROM charges"))


def in_options(said: str) -> str:
    """The sentence, as the command line says it."""
    return said.replace("amount=", "--amount ").replace("amount must", "--amount must")


def test_on_the_command_line_and_in_a_file(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    id_ = accepted_before(engine, key="old")
    cent = ("charge", "create", "--amount", "1", "--currency", "usd", "--key")
    assert billing(*cent, "old", "--json").json["charge_id"] == id_
    assert billing(*cent, "new", "--json").error["detail"] == in_options(TOO_SMALL)
    fils = ("charge", "create", "--amount", "1235", "--currency", "kwd", "--json")
    assert billing(*fils).error["detail"] == in_options(ODD)

    file = tmp_path / "charges.csv"
    file.write_text("amount,currency,idempotency_key\n1,USD,old\n1,USD,new\n1235,KWD,odd\n")
    told = billing("charge", "import", str(file), "--json")
    assert not told.json["sent"]
    assert [one["because"] for one in told.json["reasons"]] == [TOO_SMALL, ODD]
    # Without a database nobody knows that the first line is a repeat.
    dry = billing("charge", "import", str(file), "--dry-run", "--json").json
    assert [one["because"] for one in dry["reasons"]] == [TOO_SMALL, TOO_SMALL, ODD]
    assert kept(engine) == 1


@pytest.mark.usefixtures("billing")
def test_by_message(engine: Engine) -> None:
    from worker.app import app  # reads the environment

    id_ = accepted_before(engine, key="old")
    handlers = TaskHandlers(app, load(), REAL)
    try:
        assert handlers.create("charge", {**CENT, "idempotency_key": "old"}, task_id="t1").id == id_
        with pytest.raises(InvalidRequest) as refused:
            handlers.create("charge", CENT, task_id="t2")
        assert str(refused.value) == TOO_SMALL
        paid = handlers.create("charge", {**FILS, "amount": 1230}, task_id="t3")
        with pytest.raises(InvalidRequest, match="multiple of 10 in KWD"):
            handlers.create("refund", {"charge_id": paid.id, "amount": 15}, task_id="t4")
        assert handlers.create("refund", {"charge_id": paid.id}, task_id="t5").amount == 1230
    finally:
        handlers.close()
    found = rows(engine, "SELECT task_id, param, detail FROM rejected_requests ORDER BY task_id")
    assert [(one["task_id"], one["param"]) for one in found] == [("t2", "amount"), ("t4", "amount")]
    assert kept(engine) == 2


def test_over_http_and_in_the_sdk(
    engine: Engine, environ: dict[str, str], nursery: Nursery
) -> None:
    environ = {**environ, "BILLING_SANDBOX_LIMITS": LIMITS}
    with web(nursery, environ, engine) as running, running.caller() as caller:
        id_ = accepted_before(engine, key="old", producer=caller.producer)
        again = caller.charge("old", **CENT)
        assert (again.status_code, again.json()["charge_id"]) == (200, id_)
        new = caller.charge("new", **CENT)
        assert (new.status_code, new.json()["code"], new.json()["param"]) == (
            400,
            "invalid_request",
            "amount",
        )
        assert new.json()["detail"] == TOO_SMALL
        assert caller.charge("odd", **FILS).json()["detail"] == ODD
        other = caller.charge("eur", amount=500, currency="EUR").json()
        assert (other["param"], other["detail"]) == (
            "currency",
            "the processor sandbox takes no EUR; it takes KWD, USD",
        )
        # What a price comes to is known when it is sold.
        price = caller.price(unit_amount="20")
        few = caller.buy(price["id"], 2).json()
        assert few["param"] == "quantity"
        assert few["detail"] == (
            "quantity: 2 of this price come to 0.40 USD;"
            " a charge at the processor sandbox must be at least 0.50 USD"
        )
        assert caller.buy(price["id"], 3).status_code == 202
        with sdk_of(caller):
            assert sdk.charge.create(**CENT, idempotency_key="old").charge_id == id_
            with pytest.raises(sdk.InvalidRequest) as refused:
                sdk.charge.create(**CENT, idempotency_key="newer")
        assert refused.value.param == "amount"
    assert kept(engine) == 2
