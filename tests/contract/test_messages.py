"""What producers of all languages really send is taken, or refused for the written reason."""

import pytest

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments.parsing import parse
from payments.payment_errors import Refused
from tasks.task_arguments import by_name
from tests.support import vectors
from tests.support.every import every
from worker.envelope import Broken, Call, read

REQUESTS = {
    "billing.charge.create": ChargeRequest,
    "billing.refund.create": RefundRequest,
    "billing.charge.capture": CaptureRequest,
    "billing.charge.cancel": CancelRequest,
}
TASKS = frozenset(REQUESTS)


def which(outcome: str) -> list[pytest.param]:
    return [
        pytest.param(vector, id=f"{vector.broker}/{vector.name}")
        for vector in vectors.ALL
        if outcome in vector.expected
    ]


def request_of(call: Call):
    """What the handlers make of a call: null is absent, and without a key the task's id is it."""
    call.wishes.refuse_callbacks()
    fields = {n: v for n, v in by_name(call.args, call.kwargs).items() if v is not None}
    key = {} if call.task == "billing.charge.cancel" else {"idempotency_key": call.id}
    return parse(REQUESTS[call.task], {**key, **fields})


@every("vector", which("task"))
def test_a_message_of_a_real_client_is_the_call_that_it_means(vector):
    call = read(vector.message(), TASKS)
    expected = vector.expected
    assert (call.task, call.id) == (expected["task"], expected["id"])
    assert (call.args, call.kwargs) == ([], expected["kwargs"])
    assert request_of(call).id == expected["object_id"]


@every("vector", which("task"))
def test_its_id_comes_from_its_key(vector):
    expected = vector.expected
    _, kind, _ = expected["task"].split(".")
    key = expected["kwargs"].get("idempotency_key", expected["id"])
    producer = expected["kwargs"].get("producer", "default")
    assert id_from_key(kind, producer=producer, key=key) == expected["object_id"]


@every("vector", which("late"))
def test_a_message_that_was_wanted_until_then_is_the_call_that_it_meant(vector):
    call, meant = read(vector.message(), TASKS), vector.expected["late"]
    assert (call.task, call.id, call.kwargs) == (meant["task"], meant["id"], meant["kwargs"])
    assert call.wishes.timing.good_until is not None
    assert request_of(call).id == meant["object_id"]


def test_what_a_message_says_of_time_is_read():
    (vector,) = (v for v in vectors.of("redis") if v.name == "celery-v2-countdown-expires")
    timing = read(vector.message(), TASKS).wishes.timing
    assert str(timing.not_before) == "2026-11-26 02:36:39.083128+00:00"
    assert str(timing.good_until) == "2026-11-26 01:37:39.083128+00:00"


@every("vector", which("rejected"))
def test_a_request_that_can_not_be_meant_is_refused_by_name(vector):
    call = read(vector.message(), TASKS)
    assert call.id == vector.expected["id"]
    if vector.expected["rejected"]["code"] == "not_found":  # which only the database can tell
        request_of(call)
        return
    with pytest.raises(Refused) as refused:
        request_of(call)
    expected = vector.expected["rejected"]
    assert (refused.value.code, refused.value.param) == (expected["code"], expected["param"])


@every("vector", which("quarantined"))
def test_what_is_no_request_is_broken_for_the_reason_that_is_written(vector):
    with pytest.raises(Broken) as broken:
        read(vector.message(), TASKS)
    assert str(broken.value) == vector.expected["quarantined"]


def test_every_file_is_expected_to_be_something():
    files = {
        f"{path.parent.name}/{path.stem}"
        for path in vectors.MESSAGES.glob("*/*")
        if path.suffix in (".item", ".json")
    }
    assert files == {f"{vector.broker}/{vector.name}" for vector in vectors.ALL}
    for vector in vectors.ALL:
        assert len({"task", "late", "rejected", "quarantined"} & set(vector.expected)) == 1
