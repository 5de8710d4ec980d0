"""A currency leaves ISO 4217: at every door a repeat stays a repeat, and what is new is refused."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from infra import billing as sdk
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.rules import ANY_DAY
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

GONE = "BGN is no longer a currency of ISO 4217"
LEV: dict[str, Any] = {"amount": 500, "currency": "BGN"}


def accepted_before(engine: Engine, *, key: str, producer: str = "default") -> str:
    """A charge in leva, as it was accepted while they were a currency."""
    fields = {**LEV, "idempotency_key": key, "producer": producer}
    request = parse(ChargeRequest, fields, day=ANY_DAY)
    with Database(engine).transaction() as transaction:
        charges.accept(transaction, [charges.NewCharge(request, "sandbox")])
    return request.id


def in_leva(engine: Engine) -> int:
    return len(rows(engine, "SELECT 1 FROM charges WHERE currency = 'BGN'"))


def test_on_the_command_line_and_in_a_file(
    billing: Billing, engine: Engine, tmp_path: Path
) -> None:
    id_ = accepted_before(engine, key="old")
    create = ("charge", "create", "--amount", "500", "--currency", "bgn", "--key")
    assert billing(*create, "old", "--json").json["charge_id"] == id_
    assert GONE in billing(*create, "new").err

    file = tmp_path / "charges.csv"
    file.write_text("amount,currency,idempotency_key\n500,BGN,old\n500,BGN,new\n5,EUR,other\n")
    told = billing("charge", "import", str(file), "--skip-invalid", "--json")
    assert GONE in (tmp_path / "charges.refused.csv").read_text()
    assert (told.json["new"], told.json["repeated"], told.json["refused"]) == (1, 1, 1)
    assert in_leva(engine) == 1


@pytest.mark.usefixtures("billing")
def test_by_message(engine: Engine) -> None:
    from worker.app import app  # reads the environment

    id_ = accepted_before(engine, key="old")
    handlers = TaskHandlers(app, load(), REAL)
    try:
        assert handlers.create("charge", {**LEV, "idempotency_key": "old"}, task_id="t1").id == id_
        with pytest.raises(InvalidRequest, match=GONE):
            handlers.create("charge", {**LEV, "idempotency_key": "new"}, task_id="t2")
    finally:
        handlers.close()
    (rejected,) = rows(engine, "SELECT * FROM rejected_requests")
    assert (rejected["task_id"], rejected["param"]) == ("t2", "currency")
    assert rejected["fingerprint"] is None
    assert in_leva(engine) == 1


def test_over_http_and_in_the_sdk(
    engine: Engine, environ: dict[str, str], nursery: Nursery
) -> None:
    with web(nursery, environ, engine) as running, running.caller() as caller:
        id_ = accepted_before(engine, key="old", producer=caller.producer)
        again = caller.charge("old", **LEV)
        assert (again.status_code, again.json()["charge_id"]) == (200, id_)
        assert again.headers["idempotent-replayed"] == "true"
        new = caller.charge("new", **LEV)
        assert (new.status_code, new.json()["param"]) == (400, "currency")
        with sdk_of(caller):
            assert sdk.charge.create(**LEV, idempotency_key="old").charge_id == id_
            with pytest.raises(sdk.InvalidRequest, match=GONE):
                sdk.charge.create(**LEV, idempotency_key="new")
        # What was sold in it is still found.
        assert caller.get("/prices", params={"currency_id": "cur_bgn"}).json()["count"] == 0
        assert caller.get("/prices", params={"currency_id": "cur_qqq"}).status_code == 400
        assert caller.get("/currencies/cur_bgn").json()["decimal"] == 2
        assert "cur_bgn" not in caller.get("/currencies").text
    assert in_leva(engine) == 1
