"""A message becomes a task: redacted, deaf to foreign headers, with scrubbed failures."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import InvalidTaskError
from structlog.testing import capture_logs

from payments.payment_errors import InvalidRequest
from tests.support.every import every
from worker.task_request import TOLD, BillingTask, Request

SECRET = "4242424242424242"
CHARGE = {"amount": 1999, "currency": "USD", "customer_id": SECRET}

app = Celery("test", task_cls=BillingTask, set_as_current=False)
app.conf.update(task_ignore_result=True, timezone="UTC")


@app.task(name="billing.charge.create", shared=False)
def create(**kwargs):
    match kwargs.get("do"):
        case "bug":
            return {}[kwargs["customer_id"]]
        case "refuse":
            try:
                int(kwargs["customer_id"] + "x")
            except ValueError as error:
                raise InvalidRequest("amount must be a whole number", param="amount") from error
        case _:
            return {"charge_id": "ch_1", "state": "succeeded"}


def _request(body=None, **headers):
    body = [[], CHARGE, {}] if body is None else body
    message = SimpleNamespace(
        headers={"task": "billing.charge.create", "id": "t1", "lang": "go", **headers},
        payload=body,
        body=b"",
        content_type="application/json",
        content_encoding="utf-8",
        delivery_info={},
        properties={},
    )
    return Request(message, app=app, task=create)


def test_ids_of_other_messages_are_told_unless_they_hold_a_card_number():
    request = _request(root_id="root-1", parent_id="parent-1").request_dict
    assert (request["root_id"], request["parent_id"]) == ("root-1", "parent-1")
    request = _request(root_id=f"pm_{SECRET}", parent_id=f"pm_{SECRET}").request_dict
    assert (request["root_id"], request["parent_id"]) == ("t1", None)


def test_representations_are_ours_whatever_the_header_says():
    request = _request(argsrepr=SECRET, kwargsrepr=SECRET)
    assert SECRET not in request.argsrepr + request.kwargsrepr
    assert SECRET not in request.request_dict["argsrepr"] + request.request_dict["kwargsrepr"]
    assert "1999" in request.kwargsrepr
    assert SECRET not in repr(request)


@pytest.mark.parametrize("is_told", [False, True])
def test_monitors_are_told_once_that_it_has_begun(is_told):
    told = []
    request = _request(**{TOLD: is_told})
    request.eventer = SimpleNamespace(enabled=True, send=lambda event, **_: told.append(event))
    request.on_accepted(pid=1, time_accepted=0.0)
    request.send_event("task-failed")
    assert told == ["task-failed"] if is_told else ["task-started", "task-failed"]


def test_inspection_is_told_no_more():
    assert SECRET not in str(_request().info())
    assert SECRET not in str(_request().info(safe=False))


def test_the_task_itself_gets_everything():
    assert _request().kwargs == CHARGE


def test_headers_that_drop_delay_rename_or_cut_off_a_task_are_ignored():
    request = _request(
        timelimit=[0.001, 0.001],
        expires="2001-01-01T00:00:00+00:00",
        eta="2099-01-01T00:00:00+00:00",
        retries=99,
        shadow="billing.refund.create",
        stamped_headers=["x"],
        stamps={"x": SECRET},
        group=SECRET,
        ignore_result=False,
    )
    assert request.time_limits == (None, None)
    assert request.expires is None
    assert request.eta is None
    assert request.name == "billing.charge.create"
    assert request.request_dict["retries"] == 0
    assert request.ignore_result
    assert SECRET not in str({k: v for k, v in request.request_dict.items() if k != "kwargs"})


def test_tasks_embedded_in_the_body_are_ignored():
    refund = {"task": "billing.refund.create", "args": [], "kwargs": {"charge_id": "ch_1"}}
    for name in ("callbacks", "errbacks", "chain", "chord"):
        request = _request([[], CHARGE, {name: [refund]}])
        assert request.errbacks is None
        assert request.chord is None
        assert request.body[2] == {}
        assert name not in request.request_dict


def test_the_body_is_handed_on_decoded():
    request = _request()
    assert request.content_type is None
    assert request.body == ([], CHARGE, {})


@every("body", [None, 7, "x", [], [[], {}], {"args": []}])
def test_a_body_that_is_no_call_is_invalid(body):
    with pytest.raises(InvalidTaskError):
        _request(body=body if body is not None else 0)


@every("body", [["args", {}, {}], [[], [], {}], [None, {}, {}], [[], None, {}]])
def test_arguments_of_a_wrong_kind_are_invalid(body):
    with pytest.raises(InvalidTaskError):
        _request(body=body)


def test_ids_of_parents_are_kept_only_if_they_are_short_text():
    assert _request(root_id={"a": SECRET}).root_id == "t1"
    assert _request(root_id="x" * 300).root_id == "t1"
    assert _request(root_id="r1", parent_id="p1").parent_id == "p1"


def _run(caplog, do):
    request = _request([[], {**CHARGE, "do": do}, {}])
    with caplog.at_level("DEBUG"):
        trace = build_tracer(create.name, create, app=app)
        return trace("t1", [], request.kwargs, request.request_dict)


def test_a_result_passes(caplog):
    assert _run(caplog, "ok").retval == {"charge_id": "ch_1", "state": "succeeded"}
    assert SECRET not in caplog.text


def test_a_bug_says_its_kind_and_place_and_nothing_else(caplog):
    outcome = _run(caplog, "bug")
    text = str(outcome.info.retval)
    assert text.startswith("internal error KeyError in ")
    assert "test_request.py:" in text
    assert SECRET not in outcome.retval.traceback
    assert SECRET not in caplog.text
    assert outcome.info.retval.__context__ is None


def test_a_bug_is_logged_as_an_error_once(caplog):
    with capture_logs() as ours:
        _run(caplog, "bug")
    (line,) = ours
    assert line["log_level"] == "error"
    assert line["error"] == "KeyError"
    assert line["task_id"] == "t1"
    assert SECRET not in str(line)
    assert not [r for r in caplog.records if r.levelname == "ERROR" or r.exc_info]


def test_a_refusal_keeps_its_message_and_loses_its_cause(caplog):
    outcome = _run(caplog, "refuse")
    assert isinstance(outcome.info.retval, InvalidRequest)
    assert str(outcome.info.retval) == "amount must be a whole number"
    assert SECRET not in outcome.retval.traceback
    assert SECRET not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_task_called_as_a_function_just_runs():
    assert create(do="ok")["state"] == "succeeded"
    with pytest.raises(KeyError):
        create(do="bug", customer_id="x")
