"""Ending a charge over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from payments.processors.outcomes import REQUIRES_ACTION, Canceled, NextAction, Pending, Succeeded
from tests.support.factories import Till
from tests.support.web import Caller, Web

WAITS = Pending("sbx_1", REQUIRES_ACTION, NextAction("redirect_to_url", "https://pay.example/1"))


def test_a_charge_that_was_never_sent_is_canceled_at_once(caller: Caller) -> None:
    charge = caller.charge("order-1", reference="order-1").json()
    ended = caller.post(f"/charges/{charge['charge_id']}/cancel", json={"reason": "left"})
    assert ended.status_code == 200
    told = ended.json()
    assert (told["state"], told["failure_code"]) == ("failed", "canceled")
    assert told["cancel_requested_at"] == told["settled_at"]
    again = caller.post(f"/charges/{charge['charge_id']}/cancel")
    assert (again.status_code, again.json()) == (200, told)
    assert caller.charge("order-2", reference="order-1").status_code == 202
    story = caller.get(f"/charges/{charge['charge_id']}/timeline").json()["data"]
    assert any("its end asked for by" in entry["text"] for entry in story)


def test_one_that_was_sent_is_pending_until_the_processor_was_asked(
    caller: Caller, till: Till
) -> None:
    id_ = caller.charge("order-1").json()["charge_id"]
    till.settle(till.claim(id_), WAITS)
    waiting = caller.get(f"/charges/{id_}").json()
    assert waiting["next_action"] == {
        "type": "redirect_to_url",
        "url": "https://pay.example/1",
        "expires_at": None,
    }
    asked = caller.post(f"/charges/{id_}/cancel")
    assert (asked.status_code, asked.json()["phase"]) == (202, "awaiting_customer")
    assert asked.json()["cancel_requested_at"] is not None
    till.settle(till.claim(id_), Canceled("sbx_1"))
    assert caller.post(f"/charges/{id_}/cancel").status_code == 200


def test_what_succeeded_is_to_be_refunded(caller: Caller, till: Till) -> None:
    id_ = caller.charge("order-1").json()["charge_id"]
    till.settle(till.claim(id_), Succeeded("sbx_1"))
    refused = caller.post(f"/charges/{id_}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "charge_not_cancelable")
    assert "refund it instead" in refused.json()["detail"]


def test_another_producers_charge_is_not_there(caller: Caller, door: Web) -> None:
    id_ = caller.charge("order-1").json()["charge_id"]
    with door.caller() as stranger:
        for charge_id in (id_, "ch_" + "a" * 32, "ch_x"):
            answer = stranger.post(f"/charges/{charge_id}/cancel")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert caller.get(f"/charges/{id_}").json()["state"] == "pending"


@pytest.mark.parametrize(
    "body", [{"reason": 5}, {"why": "x"}, {"charge_id": "ch_x"}, {"producer": "x"}]
)
def test_a_body_that_makes_no_sense_is_refused(caller: Caller, body: dict[str, object]) -> None:
    id_ = caller.charge("order-1").json()["charge_id"]
    assert caller.post(f"/charges/{id_}/cancel", json=body).status_code == 400
    assert caller.get(f"/charges/{id_}").json()["state"] == "pending"


def test_a_scheduled_charge_says_when(caller: Caller) -> None:
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    made = caller.charge("order-1", scheduled_at=at, expires_in_s=60)
    assert made.status_code == 202
    told = made.json()
    assert datetime.fromisoformat(told["scheduled_at"]) == datetime.fromisoformat(at)
    assert datetime.fromisoformat(told["expires_at"]) - datetime.fromisoformat(at) == timedelta(
        minutes=1
    )
    far = caller.charge("order-2", scheduled_at="2999-01-01T00:00:00Z")
    assert (far.status_code, far.json()["param"]) == (400, "scheduled_at")
