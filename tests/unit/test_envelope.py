"""Every way in which a message can fail to be a task, and the few in which it is one."""

import base64
import json
from types import SimpleNamespace

import pytest

from payments.intake.masking import READ_MAX
from tests.support.every import every
from worker.envelope import (
    BODY_MAX_BYTES,
    ITEM_MAX_BYTES,
    KEPT_AS_HEX,
    UNREADABLE,
    Broken,
    read,
    size_of,
    unwrap,
)
from worker.transport import fetching

TASKS = frozenset({"billing.charge.create"})
HEADERS = {"lang": "go", "task": "billing.charge.create", "id": "t1"}
KWARGS = {"amount": 1999, "currency": "USD"}
SECRET = "4242424242424242"


def _message(body=None, headers=None, **changes):
    body = [[], KWARGS, {}] if body is None else body
    return SimpleNamespace(
        **{
            "headers": HEADERS if headers is None else headers,
            "body": body if isinstance(body, bytes | str) else json.dumps(body).encode(),
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "errors": [],
            **changes,
        }
    )


def _item(body=None, headers=None, properties=None, **changes):
    body = json.dumps([[], KWARGS, {}]).encode() if body is None else body
    letter = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": HEADERS if headers is None else headers,
        "properties": {
            "correlation_id": "t1",
            "delivery_tag": "d1",
            "delivery_mode": 2,
            "priority": 0,
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "payments"},
            **(properties or {}),
        },
        **changes,
    }
    return json.dumps(letter).encode()


def _without(letter: bytes, *path: str) -> bytes:
    value = json.loads(letter)
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return json.dumps(value).encode()


def _changed(letter: bytes, **changes) -> bytes:
    return json.dumps({**json.loads(letter), **changes}).encode()


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


# --- messages that are tasks


def test_three_headers_and_a_body_of_three_are_enough():
    call = read(_message(), TASKS)
    assert (call.task, call.id, call.args, call.kwargs) == (
        "billing.charge.create",
        "t1",
        [],
        KWARGS,
    )


@every("embedded", [None, {}, [], {"callbacks": None, "chord": None}])
def test_the_third_item_may_be_anything_that_celery_clients_put_there(embedded):
    assert read(_message([[], KWARGS, embedded]), TASKS).kwargs == KWARGS


def test_protocol_1_is_understood_when_it_is_clearly_that():
    body = {"task": "billing.charge.create", "id": "t1", "args": None, "kwargs": KWARGS}
    call = read(_message(body, headers={}), TASKS)
    assert (call.task, call.id, call.args, call.kwargs) == (body["task"], "t1", [], KWARGS)


@every("value", ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z", None, ""])
def test_times_are_read_and_then_ignored(value):
    assert read(_message(headers={**HEADERS, "eta": value, "expires": value}), TASKS)


@pytest.mark.parametrize("nothing", [None, []])
def test_what_go_and_php_write_for_nothing_is_nothing(nothing):
    call = read(_message([nothing, nothing, nothing]), TASKS)
    assert (call.args, call.kwargs) == ([], {})


@pytest.mark.parametrize("content_type", [None, "", "Application/JSON; charset=UTF-8"])
def test_the_type_of_json_may_be_left_out_or_say_its_charset(content_type):
    assert read(_message(content_type=content_type), TASKS)


@every("encoding", [None, "", "utf-8", "UTF-8", "ascii", "binary"])
def test_the_encodings_of_json_are_accepted(encoding):
    assert read(_message(content_encoding=encoding), TASKS)


# --- messages that are not


NOT_TASKS = {
    "no task": _message(headers={"id": "t1"}),
    "no id": _message(headers={"task": "billing.charge.create"}),
    "an id with a card number": _message(headers={**HEADERS, "id": f"card-{SECRET}"}),
    "empty id": _message(headers={**HEADERS, "id": ""}),
    "id with a newline": _message(headers={**HEADERS, "id": "a\nb"}),
    "id that is a number": _message(headers={**HEADERS, "id": 7}),
    "endless id": _message(headers={**HEADERS, "id": "x" * 256}),
    "task that is a list": _message(headers={**HEADERS, "task": ["a"]}),
    "unknown task": _message(headers={**HEADERS, "task": "billing.charge.crate"}),
    "Celery's own task": _message(headers={**HEADERS, "task": "celery.starmap"}),
    "body of two": _message([[], KWARGS]),
    "body of four": _message([[], KWARGS, {}, {}]),
    "body that is an object": _message(KWARGS),
    "body that is a number": _message(7),
    "body that is null": _message(b"null"),
    "empty body": _message(b""),
    "no body": _message(body=b"", headers=HEADERS),
    "args that are an object": _message([{}, KWARGS, {}]),
    "args that are false": _message([False, KWARGS, {}]),
    "kwargs that are a list": _message([[], [1], {}]),
    "kwargs that are false": _message([[], False, {}]),
    "embedded list": _message([[], KWARGS, [1]]),
    "not JSON": _message(b"{not json"),
    "bad UTF-8": _message(b'[[], {"a": "\xff\xfe"}, {}]'),
    "UTF-16": _message("[[], {}, {}]".encode("utf-16")),
    "NaN": _message(b'[[], {"amount": NaN}, {}]'),
    "amount twice": _message(b'[[], {"amount": 1, "amount": 1000}, {}]'),
    "deep JSON": _message(b"[" * 100_000 + b"]" * 100_000),
    "moderately deep JSON": _message([[], {"metadata": _nested(40)}, {}]),
    "10 MB": _message(b'[[], {"a": "' + b"x" * 10_000_000 + b'"}, {}]'),
    "too large by a byte": _message(b" " * (BODY_MAX_BYTES + 1)),
    "pickle": _message(content_type="application/x-python-serialize"),
    "yaml": _message(content_type="application/x-yaml"),
    "JSON in another charset": _message(content_type="application/json; charset=utf-16"),
    "bytes of no type": _message(content_type="application/octet-stream"),
    "latin-1": _message(content_encoding="latin-1"),
    "unknown encoding": _message(content_encoding="klingon"),
    "compressed": _message(errors=[(ValueError, ValueError(), None)]),
    "bad eta": _message(headers={**HEADERS, "eta": "tomorrow"}),
    "bad expires": _message(headers={**HEADERS, "expires": 12.5}),
    "future protocol": _message(headers={**HEADERS, "protocol": 3}),
    "protocol 1, unknown task": _message({"task": "x", "id": "t1"}, headers={}),
    "protocol 1 without id": _message({"task": "billing.charge.create"}, headers={}),
    "protocol 1, kwargs that are a list": _message(
        {"task": "billing.charge.create", "id": "t1", "kwargs": [1]}, headers={}
    ),
    "protocol 1, bad eta": _message(
        {"task": "billing.charge.create", "id": "t1", "eta": "x"}, headers={}
    ),
}


@every("case", NOT_TASKS)
def test_what_is_no_task_is_broken(case):
    with pytest.raises(Broken) as broken:
        read(NOT_TASKS[case], TASKS)
    assert 0 < len(str(broken.value)) <= 200


@every("place", ["task", "id", "eta", "protocol"])
def test_the_reason_quotes_nothing(place):
    with pytest.raises(Broken) as broken:
        read(_message(headers={**HEADERS, place: f"\n{SECRET} ada@example.com\n"}), TASKS)
    assert SECRET not in str(broken.value)


# --- items of a Redis list


def test_a_good_item_is_a_letter():
    letter = unwrap(_item(), "payments", tag="t")
    assert letter["headers"] == HEADERS
    assert base64.b64decode(letter["body"]) == json.dumps([[], KWARGS, {}]).encode()


def test_a_letter_has_the_tag_of_this_delivery_and_not_its_producers():
    letter = unwrap(_item(), "payments", tag="fetch-1")
    assert letter["properties"]["delivery_tag"] == "fetch-1"


def test_a_letter_says_where_it_really_was():
    properties = {"delivery_info": {"exchange": "celery", "routing_key": "nowhere"}}
    info = unwrap(_item(properties=properties), "payments", tag="t")["properties"]["delivery_info"]
    assert (info["exchange"], info["routing_key"]) == ("", "payments")


def test_a_body_in_plain_text_is_fine():
    item = _item(body=b"[[],{},{}]", properties={"body_encoding": None})
    assert unwrap(item, "payments", tag="t")["content-type"] == "application/json"


@every("name", ["delivery_tag", "delivery_info", "priority", "correlation_id"])
def test_what_is_made_here_may_be_missing_or_null(name):
    for item in (_without(_item(), "properties", name), _item(properties={name: None})):
        letter = unwrap(item, "payments", tag="t")
        assert letter["headers"] == HEADERS
        assert letter["properties"]["delivery_tag"] == "t"
        assert letter["properties"]["delivery_info"]["routing_key"] == "payments"


@pytest.mark.parametrize(
    "item",
    [_without(_item(), "headers"), _changed(_item(), headers=None), _changed(_item(), headers=[])],
)
def test_headers_may_be_missing_or_nothing(item):
    assert unwrap(item, "payments", tag="t")["headers"] == {}


NOT_LETTERS = {
    "not JSON": b"hello",
    "nothing": b"",
    "bad UTF-8": b'{"body": "\xff"}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep JSON": b"[" * 100_000 + b"]" * 100_000,
    "as large as is kept": b"x" * READ_MAX,
    "wrapped by a sender, too large": _item(x="y" * ITEM_MAX_BYTES, **{"content-type": UNREADABLE}),
    "too large by a byte": b" " * (ITEM_MAX_BYTES + 1),
    "no properties": _without(_item(), "properties"),
    "properties that are a list": _changed(_item(), properties=[]),
    "properties that are null": _changed(_item(), properties=None),
    "delivery_info that is a list": _item(properties={"delivery_info": []}),
    "headers that are a list": _changed(_item(), headers=[1]),
    "headers that are deep": _item(headers={"x": _nested(40)}),
    "bad base64": _changed(_item(), body="a"),
    "body that is an object": _changed(_item(), body={}),
    "no body": _without(_item(), "body"),
    "unknown body encoding": _item(properties={"body_encoding": "rot13"}),
    "endless priority": _item().replace(b'"priority": 0', b'"priority": Infinity'),
    "compressed": _item(headers={**HEADERS, "compression": "zlib"}),
    "a tagged value": b'{"__type__": "decimal", "__value__": "x"}',
    "a number of 5,000 digits": b"[" + b"9" * 5000 + b"]",
}


@every("case", NOT_LETTERS)
def test_what_is_no_letter_is_put_into_one(case):
    item = NOT_LETTERS[case]
    letter = unwrap(item, "payments", tag="t")
    assert letter["content-type"] == UNREADABLE
    assert base64.b64decode(letter["body"]) == item
    assert letter["headers"]["reason"]
    assert letter["properties"]["delivery_info"]["routing_key"] == "payments"


@every("item", [b"x" * 10_000_000, _item(x="y" * 10_000_000, **{"content-type": UNREADABLE})])
def test_of_an_item_of_any_size_no_more_is_kept_in_memory_than_in_quarantine(item):
    letter = unwrap(item, "payments", tag="t")
    assert base64.b64decode(letter["body"]) == item[:READ_MAX]
    assert letter["headers"] == {"reason": "larger than 524288 bytes", "size": len(item)}
    beginning = unwrap(item[:READ_MAX], "payments", tag="t", size=len(item))
    assert beginning["headers"] == letter["headers"]


@every("case", [case for case in NOT_LETTERS if len(NOT_LETTERS[case]) < ITEM_MAX_BYTES // 2])
def test_a_wrapped_item_that_is_restored_is_not_wrapped_again(case):
    once = unwrap(NOT_LETTERS[case], "payments", tag="t")
    twice = unwrap(json.dumps(once).encode(), "payments", tag="t")
    assert (twice["body"], twice["headers"]) == (once["body"], once["headers"])


def test_a_reason_that_a_sender_wrote_is_not_told_nor_its_size():
    headers = {"reason": "ada@example.com", "size": 10**5000}
    with pytest.raises(Broken, match=r"^unreadable$"):
        read(_message(b"x", headers=headers, content_type=UNREADABLE), TASKS)
    assert size_of(_message(b"x", headers=headers, content_type=UNREADABLE)) == 0
    restored = _message(b"x", headers={"reason": KEPT_AS_HEX}, content_type=UNREADABLE)
    with pytest.raises(Broken, match=KEPT_AS_HEX):
        read(restored, TASKS)
    assert KEPT_AS_HEX in fetching.FETCH
    assert str(READ_MAX) in fetching.FETCH


@every(
    "value",
    [
        ("x", 1),
        ("uuid", 1),
        ("uuid", {"hex": "x"}),
        ("decimal", "x"),
        ("datetime", 5),
        ("bytes", 5),
    ],
    ids=str,
)
def test_a_tagged_value_in_a_header_of_no_meaning_is_left_as_it_is(value):
    """kombu's reader makes objects of them, and raises anything when it can't."""
    tagged = dict(zip(("__type__", "__value__"), value, strict=True))
    letter = unwrap(_item(headers={**HEADERS, "x": tagged}), "payments", tag="t")
    assert letter["headers"]["x"] == tagged


@every("case", NOT_LETTERS)
def test_a_wrapped_item_is_broken_for_its_first_reason(case):
    letter = unwrap(NOT_LETTERS[case], "payments", tag="t")
    with pytest.raises(Broken) as broken:
        read(_message(b"x", headers=letter["headers"], content_type=letter["content-type"]), TASKS)
    assert str(broken.value) == letter["headers"]["reason"]
