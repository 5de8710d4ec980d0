"""What is read at a glance says the same as what is read by all rules, or is left to them."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.transport.virtual.base import Message

from tests.support import vectors
from tests.unit.test_envelope_fuzz import (
    NAMES,
    TASK,
    _Channel,
    _text,
    amqp_values,
    items,
    values,
)
from worker import envelope, signing
from worker.loop import carrying, plain

TASKS = frozenset({TASK})
REAL = carrying.TASKS
KWARGS = {"amount": 1999, "currency": "USD", "metadata": {"shop": "5"}}
NOTHING = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def an_item(body: Any = None, headers: dict[str, Any] | None = None, **changes: Any) -> bytes:
    body = body if isinstance(body, bytes) else json.dumps(body or [[], KWARGS, NOTHING]).encode()
    letter = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": TASK, "id": "t1", "root_id": "t1", **(headers or {})},
        "properties": {"body_encoding": "base64", "delivery_info": {"exchange": ""}},
        **changes,
    }
    return json.dumps(letter).encode()


def message_of(item: bytes) -> Message:
    return Message(envelope.unwrap(item, "payments", tag="t"), channel=_Channel())


def agrees(item: bytes, tasks: frozenset[str] = TASKS) -> bool:
    """Whether it is read at a glance, and then to the same as by all rules."""
    read = plain.of_item(item, tasks)
    if read is None:
        return False
    call, proof = read
    message = message_of(item)
    assert call == envelope.read(message, tasks)
    assert proof == signing.proof_of(message, task=call.task, task_id=call.id)
    return True


@given(st.binary(max_size=200) | items | values.map(_text))
@settings(max_examples=600, deadline=None, derandomize=True)
def test_whatever_is_read_at_a_glance_is_what_all_rules_read(item: bytes) -> None:
    agrees(item)


bodies = st.builds(
    lambda kwargs, embedded: json.dumps([[], kwargs, embedded]).encode(),
    st.dictionaries(st.text(max_size=4), values, max_size=4),
    st.sampled_from([NOTHING, {}, None, []]) | values,
)


@given(bodies | values.map(_text), st.dictionaries(st.text(max_size=4), values, max_size=2))
@settings(max_examples=600, deadline=None, derandomize=True)
def test_whatever_the_body_says(body: bytes, headers: dict[str, Any]) -> None:
    agrees(an_item(body, headers))


def test_of_what_real_clients_send_celerys_and_ours_are_read_at_a_glance() -> None:
    read = {vector.name for vector in vectors.of("redis") if agrees(vector.item(), REAL)}
    assert read == {
        "celery-for-php-v2",
        "celery-node-v2",
        "celery-v2-refund",
        "gopher-celery-v2",
        "kombu-5.2-objects",
        "sdk",
    }


@pytest.mark.parametrize(
    "item",
    [
        an_item(),
        an_item([[], KWARGS, {}]),
        an_item([[], KWARGS, None]),
        an_item(headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}),
        an_item(headers={"billing-signature": "v1,abc"}),
        an_item([[], {**KWARGS, "description": "at 12:30, https://shop.example"}, {}]),
    ],
    ids=["celery's", "an empty third", "no third", "a trace", "signed", "colons in texts"],
)
def test_what_celerys_clients_send_is_read_at_a_glance(item: bytes) -> None:
    assert agrees(item)


@pytest.mark.parametrize(
    "item",
    [
        an_item([[1], KWARGS, {}]),
        an_item([[], KWARGS, {"callbacks": [{"task": "x"}]}]),
        an_item([[], {"amount": 5.5}, {}]),
        an_item([[], {"amount": 10**30}, {}]),
        an_item([[], {"amount": {"__type__": "decimal", "__value__": "5"}}, {}]),
        an_item([[], {"metadata": {"deep": {"deeper": 1}}}, {}]),
        an_item(b'[[], {"amount": 1, "amount": 2}, {}]'),
        an_item(b'[[], {"metadata" : {"a": "1", "a" :"2"}}, {}]'),
        an_item(b'[[], {"amount": NaN}, {}]'),
        an_item(b'[[], {"description": "\\ud800"}, {}]'),
        an_item(b"[[], {}, {}] x"),
        an_item(headers={"eta": "2030-01-01T00:00:00"}),
        an_item(headers={"expires": "2030-01-01T00:00:00"}),
        an_item(headers={"protocol": 2}),
        an_item(headers={"compression": "gzip"}),
        an_item(headers={"task": "billing.sweep.payments"}),
        an_item(headers={"id": ""}),
        an_item(headers={"id": "x" * 256}),
        an_item(headers={"id": "4242 4242 4242 4242"}),
        an_item(**{"content-type": "application/x-python-serialize"}),
        an_item(**{"content-encoding": "binary"}),
        an_item(properties={"body_encoding": "utf-8", "delivery_info": {}}),
        an_item(properties={"body_encoding": "base64", "delivery_info": {}, "priority": "high"}),
        an_item([[], {"description": "x" * 60_000}, {}]),
        an_item(headers={"stamps": [[]] * 20}),
    ],
)
def test_what_is_unusual_is_left_to_the_rules(item: bytes) -> None:
    assert plain.of_item(item, TASKS) is None


@given(
    body=bodies | values.map(_text) | bodies.map(bytes.decode),
    headers=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), amqp_values, max_size=4),
)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_whatever_rabbitmq_hands_out(body: Any, headers: dict[str, Any]) -> None:
    message = SimpleNamespace(
        body=body,
        headers={"task": TASK, "id": "t1", **headers},
        content_type="application/json",
        content_encoding="utf-8",
        errors=[],
    )
    read = plain.of_message(message.headers, body, TASKS)
    if read is not None:
        call, proof = read
        assert call == envelope.read(message, TASKS)
        assert proof == signing.proof_of(message, task=call.task, task_id=call.id)


def test_a_decoded_body_is_as_good() -> None:
    body = json.dumps([[], KWARGS, NOTHING])
    headers = {"task": TASK, "id": "t1"}
    read = plain.of_message(headers, body, TASKS)
    assert read is not None
    assert read == plain.of_message(headers, body.encode(), TASKS)
    assert plain.of_message(headers, body[:-1] + "\ud800", TASKS) is None
    assert plain.of_message(headers, None, TASKS) is None
