"""Capturing a charge, and reading its disputes, over HTTP and with the SDK."""

from datetime import UTC, datetime

import pytest

from infra import billing
from payments.processors.outcomes import Authorized, Disputed, Succeeded
from payments.processors.port import ProcessorEvent
from tests.support.factories import Till
from tests.support.sdk import sdk_of
from tests.support.web import Caller, Web


def set_aside(caller: Caller, till: Till) -> str:
    """The id of a charge whose money is set aside."""
    charge_id: str = caller.charge(capture="manual", amount=1000).json()["charge_id"]
    till.settle(till.claim(charge_id), Authorized("sbx_1"))
    return charge_id


def contested(caller: Caller, till: Till) -> str:
    """The id of a charge that a bank contests."""
    charge_id: str = caller.charge(amount=1000).json()["charge_id"]
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    dispute = Disputed("dp_1" + charge_id, "needs_response", 1000, "USD", "fraudulent",
                       datetime(2026, 11, 29, tzinfo=UTC))  # fmt: skip
    till.report_all(ProcessorEvent(charge_id, "dispute", dispute))
    return charge_id


def test_a_charge_is_captured_in_parts(caller: Caller, till: Till) -> None:
    id_ = set_aside(caller, till)
    shown = caller.get(f"/charges/{id_}").json()
    assert (shown["phase"], shown["amount_capturable"]) == ("authorized", 1000)
    part = {"amount": 400, "final": False}
    asked = caller.post(f"/charges/{id_}/capture", json=part)
    assert (asked.status_code, asked.json()["phase"]) == (202, "queued")
    till.settle(till.claim(id_), Authorized("sbx_1", 400))
    shown = caller.get(f"/charges/{id_}").json()
    assert (shown["amount_captured"], shown["amount_capturable"]) == (400, 600)
    # All that is left, by an empty body.
    assert caller.post(f"/charges/{id_}/capture").status_code == 202
    till.settle(till.claim(id_), Succeeded("sbx_1", 1000))
    shown = caller.get(f"/charges/{id_}").json()
    assert (shown["state"], shown["amount_captured"], shown["amount_capturable"]) == (
        "succeeded",
        1000,
        0,
    )


def test_what_cannot_be_captured_says_why(caller: Caller, till: Till, door: Web) -> None:
    id_ = set_aside(caller, till)
    refused = caller.post(f"/charges/{id_}/capture", json={"amount": 1001})
    assert (refused.status_code, refused.json()["code"]) == (409, "capture_exceeds_charge")
    assert refused.json()["available"] == 1000
    automatic = caller.charge().json()["charge_id"]
    refused = caller.post(f"/charges/{automatic}/capture")
    assert (refused.status_code, refused.json()["code"]) == (409, "charge_not_capturable")
    with door.caller() as stranger:
        assert stranger.post(f"/charges/{id_}/capture").status_code == 404
    assert till.stand(id_) == "authorized"


def test_the_sdk_captures(caller: Caller, till: Till) -> None:
    id_ = set_aside(caller, till)
    with sdk_of(caller):
        charge = billing.charge.capture(id_, amount=400, idempotency_key="capture-1")
        assert (charge.phase, charge.charge_id) == ("queued", id_)
        with pytest.raises(billing.KeyReused):
            billing.charge.capture(id_, amount=500, idempotency_key="capture-1")
        with pytest.raises(billing.ChargeNotCapturable):
            billing.charge.capture(id_)


def test_disputes_are_read_by_whose_charges_they_are(caller: Caller, till: Till, door: Web) -> None:
    charge_id = contested(caller, till)
    assert caller.get(f"/charges/{charge_id}").json()["disputed_amount"] == 1000
    (one,) = caller.get(f"/disputes?charge_id={charge_id}").json()["data"]
    assert (one["object"], one["state"], one["reason"]) == (
        "dispute",
        "needs_response",
        "fraudulent",
    )
    assert caller.get(f"/disputes/{one['dispute_id']}").json() == one
    assert caller.get("/disputes?state=won").json()["data"] == []
    assert caller.get("/disputes?state=pending").status_code == 400
    with door.caller() as stranger:
        assert stranger.get("/disputes").json()["data"] == []
        assert stranger.get(f"/disputes/{one['dispute_id']}").status_code == 404
    with sdk_of(caller):
        assert billing.dispute.get(one["dispute_id"]).state == "needs_response"
        assert [d.charge_id for d in billing.dispute.list().auto_paging_iter()] == [charge_id]
        refund = billing.refund.create(charge_id=charge_id, amount=1)
    assert refund.warnings == ["charge_disputed"]
