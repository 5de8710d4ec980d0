"""What producers of all languages really send is taken, or refused for the written reason."""

import pytest

from models.ids import id_from_key
from payments.errors import Refused
from payments.parsing import parse
from payments.requests import ChargeRequest, RefundRequest
from tasks.requests import by_name
from tests.support import vectors
from worker.envelope import Broken, Call, read

TASKS = frozenset({"billing.charge.create", "billing.refund.create"})
REQUESTS = {"billing.charge.create": ChargeRequest, "billing.refund.create": RefundRequest}


def which(outcome: str) -> list[pytest.param]:
    return [
        pytest.param(vector, id=f"{vector.broker}/{vector.name}")
        for vector in vectors.ALL
        if outcome in vector.expected
    ]


def request_of(call: Call):
    """What the desk makes of a call: null is absent, and without a key the task's id is it."""
    fields = {n: v for n, v in by_name(call.args, call.kwargs).items() if v is not None}
    return parse(REQUESTS[call.task], {"idempotency_key": call.id, **fields})


@pytest.mark.parametrize("vector", which("task"))
def test_a_message_of_a_real_client_is_the_call_that_it_means(vector):
    call = read(vector.message(), TASKS)
    expected = vector.expected
    assert (call.task, call.id) == (expected["task"], expected["id"])
    assert (call.args, call.kwargs) == ([], expected["kwargs"])
    assert request_of(call).id == expected["object_id"]


@pytest.mark.parametrize("vector", which("task"))
def test_its_id_comes_from_its_key(vector):
    expected = vector.expected
    _, kind, _ = expected["task"].split(".")
    key = expected["kwargs"].get("idempotency_key", expected["id"])
    producer = expected["kwargs"].get("producer", "default")
    assert id_from_key(kind, producer=producer, key=key) == expected["object_id"]


@pytest.mark.parametrize("vector", which("rejected"))
def test_a_request_that_can_not_be_meant_is_refused_by_name(vector):
    call = read(vector.message(), TASKS)
    assert call.id == vector.expected["id"]
    with pytest.raises(Refused) as refused:
        request_of(call)
    expected = vector.expected["rejected"]
    assert (refused.value.code, refused.value.param) == (expected["code"], expected["param"])


@pytest.mark.parametrize("vector", which("quarantined"))
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
        assert len({"task", "rejected", "quarantined"} & set(vector.expected)) == 1
