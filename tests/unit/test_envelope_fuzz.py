"""Whatever lies in a broker is read or refused; nothing of it raises anything else."""

import base64
import json
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.transport.virtual.base import Base64, Message

from worker.envelope import Broken, Call, read, unwrap

TASK = "billing.charge.create"
NAMES = (
    "__type__", "__value__", "args", "body", "body_encoding", "compression", "content-encoding",
    "content-type", "delivery_info", "delivery_tag", "eta", "expires", "headers", "id", "kwargs",
    "lang", "priority", "properties", "protocol", "root_id", "task",
)  # fmt: skip
MANY_DIGITS = "9" * 7
TAGS = ("bytes", "base64", "datetime", "date", "time", "decimal", "uuid", "x")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\x00", "\ud800", "1", "base64", "utf-8", "klingon", TASK, MANY_DIGITS])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
        | st.fixed_dictionaries({"__type__": st.sampled_from(TAGS) | inner, "__value__": inner})
    ),
    max_leaves=12,
)


def _text(value: Any) -> bytes:
    """As JSON, with a number of 5,000 digits in place of MANY_DIGITS."""
    return json.dumps(value).replace(f'"{MANY_DIGITS}"', "9" * 5000).encode()


def _good() -> dict[str, Any]:
    body = json.dumps([[], {"amount": 1}, {}]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "go", "task": TASK, "id": "t1"},
        "properties": {"body_encoding": "base64", "delivery_info": {"exchange": ""}},
    }


# A good item with some of its parts replaced.
items = st.builds(
    lambda outer, headers, properties: _text(
        {
            **_good(),
            "headers": {**_good()["headers"], **headers},
            "properties": {**_good()["properties"], **properties},
            **outer,
        }
    ),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
)


class _Channel:
    """What kombu needs to make a message of a letter."""

    def decode_body(self, body: Any, encoding: Any = None) -> Any:
        return Base64().decode(body) if encoding == "base64" else body


def _is_read_or_refused(message: Any) -> None:
    try:
        call = read(message, frozenset({TASK}))
    except Broken:
        return
    assert isinstance(call, Call)
    assert isinstance(call.kwargs, dict)


@given(st.binary(max_size=200) | items | values.map(_text))
@settings(max_examples=600, deadline=None, derandomize=True)
def test_any_item_of_a_list_is_read_or_refused(item: bytes) -> None:
    letter = unwrap(item, "payments", tag="t")
    assert letter["properties"]["delivery_tag"] == "t"
    assert letter["properties"]["delivery_info"] == {"exchange": "", "routing_key": "payments"}
    _is_read_or_refused(Message(letter, channel=_Channel()))


amqp_values = values | st.binary(max_size=8) | st.datetimes() | st.decimals()


@given(
    body=st.binary(max_size=100) | values.map(_text) | st.none(),
    headers=st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=4) | st.binary(max_size=4),
        amqp_values,
        max_size=6,
    ),
    content_type=st.sampled_from(["application/json", None, "text/plain"]) | amqp_values,
    content_encoding=st.sampled_from(["utf-8", None, "binary"]) | amqp_values,
)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_any_message_of_rabbitmq_is_read_or_refused(
    body: Any, headers: Any, content_type: Any, content_encoding: Any
) -> None:
    _is_read_or_refused(
        SimpleNamespace(
            body=body,
            headers={"task": TASK, "id": "t1", **headers},
            content_type=content_type,
            content_encoding=content_encoding,
            errors=[],
        )
    )
