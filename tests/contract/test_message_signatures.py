"""Messages are signed as the vectors say: by the SDK, the worker, and stock Celery."""

import json
from typing import Any

import pytest
from celery import Celery, signals

from infra.billing.contract.messages.message import Message, signed
from infra.billing.contract.signatures import MESSAGE_HEADER, message_content, sign_message
from payments.access.message_signatures import Proof, is_signed
from tests.support.every import every
from tests.support.programs import ROOT
from tests.support.vectors import VECTORS
from tests.support.waiting import patience_s
from worker import envelope
from worker.signing import proof_of

ALL = json.loads((VECTORS / "message-signatures.json").read_text())
GOOD = [pytest.param(one, id=one["name"]) for one in ALL if one["valid"]]
KEY = ALL[0]["keys"][0]


def of(vector: dict[str, Any]) -> bytes:
    return message_content(task=vector["task"], task_id=vector["id"], body=vector["body"].encode())


@every("vector", GOOD)
def test_the_sdk_and_the_worker_sign_alike(vector: dict[str, Any]) -> None:
    message = Message(vector["id"], "payments", vector["body"], {"task": vector["task"]})
    body = vector["body"].encode()
    ours = " ".join(
        sign_message(key, task=vector["task"], task_id=vector["id"], body=body)
        for key in vector["keys"]
    )
    sdks = " ".join(str(signed(message, key).headers[MESSAGE_HEADER]) for key in vector["keys"])
    assert ours == sdks == vector["signature"]


@every("vector", [pytest.param(one, id=one["name"]) for one in ALL])
def test_a_worker_is_sure_of_right_ones_alone(vector: dict[str, Any]) -> None:
    assert is_signed(Proof(of(vector), vector["signature"]), vector["keys"]) is vector["valid"]
    assert not is_signed(Proof(of(vector), vector["signature"]), [])


@every("value", [None, 5, b"v1,x", ["v1,x"], "", "é", "v1,", "v1,é", " " * 9])
def test_what_is_no_signature_is_none(value: Any) -> None:
    assert not is_signed(Proof(of(ALL[0]), value), ALL[0]["keys"])


@pytest.mark.parametrize("encoding", ["base64", "utf-8"])
def test_the_body_is_signed_as_it_is_however_redis_has_it(encoding: str) -> None:
    from base64 import b64encode

    from kombu import Connection

    vector = ALL[1]
    body = vector["body"]
    item = {
        "body": b64encode(body.encode()).decode() if encoding == "base64" else body,
        "content-type": "application/json",
        "headers": {
            "task": vector["task"],
            "id": vector["id"],
            MESSAGE_HEADER: vector["signature"],
        },
        "properties": {"body_encoding": encoding},
    }
    letter = envelope.unwrap(json.dumps(item).encode(), "payments", tag="t")
    message = Connection("memory://").channel().message_to_python(letter)
    proof = proof_of(message, task=vector["task"], task_id=vector["id"])
    assert is_signed(proof, vector["keys"])


def test_stock_celery_signs_by_the_snippet_of_the_page() -> None:
    page = (ROOT / "docs/how-to/write-a-producer.md").read_text()
    snippet = page.partition("<!-- celery signs -->\n```python\n")[2].partition("\n```")[0]
    assert snippet
    space: dict[str, Any] = {}
    exec(compile(snippet, "docs/how-to/write-a-producer.md", "exec"), space)  # noqa: S102  # the page's own program
    try:
        space["SIGNING_KEY"] = KEY
        app = Celery(broker="memory://", set_as_current=False)
        app.conf.task_default_queue = "payments"
        with app.connection_for_write() as connection:
            queue = connection.SimpleQueue("payments")
            result = app.send_task(
                "billing.charge.create",
                kwargs={"amount": 1999, "currency": "USD", "description": "Größe 42"},
                connection=connection,
                ignore_result=True,
            )
            message = queue.get(timeout=patience_s())
        proof = proof_of(message, task="billing.charge.create", task_id=result.id)
        assert is_signed(proof, [KEY])
    finally:
        signals.before_task_publish.disconnect(space["sign"])
