"""The pages about messages are true: their programs run as they stand, their limits are real."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, text

from api.documents.files import CHECKOUT
from infra.billing.contract.ids import id_from_key
from infra.billing.contract.limits import (
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    MOMENT_AHEAD_MAX,
    TEXT_MAX,
)
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments import parsing
from tests.conftest import environ_for
from tests.support import node as node_support
from tests.support.every import every
from tests.support.node import Node
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.vectors import VECTORS
from tests.support.waiting import wait_for
from worker import envelope

WIRE = (CHECKOUT / "docs" / "reference" / "wire.md").read_text()
PRODUCER = (CHECKOUT / "docs" / "how-to" / "write-a-producer.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [*_BLOCK.findall(WIRE), *_BLOCK.findall(PRODUCER)]


def program(name: str) -> str:
    """The program that begins with its name."""
    (found,) = (code for _, code in BLOCKS if code.startswith(f"// {name}\n"))
    return found


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A project with the packages that the programs ask for."""
    return node_support.install(tmp_path_factory.mktemp("node"))


# --- the programs


def test_the_redis_program_charges_once_under_the_id_it_prints(
    node: Node, programs: Programs, environ: dict[str, str], engine: Engine
) -> None:
    broker = {"BROKER_URL": environ["BILLING_BROKER_URL"]}
    printed = node.run("charge.mjs", program("charge.mjs"), broker)
    assert node.run("charge.mjs", program("charge.mjs"), broker) == printed
    assert printed == id_from_key("charge", producer="shop", key="order-2002-charge")
    assert printed in WIRE.split("## Ids come from keys")[1]
    programs.start("worker")
    _wait_for_the_one_charge(engine, printed)


@pytest.mark.rabbitmq
def test_the_rabbitmq_program_charges_when_there_is_a_queue_and_says_so_when_not(
    node: Node,
    start_programs: Callable[..., Programs],
    database_url: str,
    rabbitmq_url: str,
    engine: Engine,
    tmp_path: Path,
) -> None:
    broker = {"BROKER_URL": rabbitmq_url}
    with pytest.raises(RuntimeError, match="there is no queue: start a worker first"):
        node.run("charge-amqp.mjs", program("charge-amqp.mjs"), broker)
    with Producer(rabbitmq_url) as producer:
        producer.declare()
    node.run("charge-amqp.mjs", program("charge-amqp.mjs"), broker)
    start_programs(environ_for(database_url, rabbitmq_url, tmp_path)).start("worker")
    _wait_for_the_one_charge(
        engine, id_from_key("charge", producer="shop", key="order-2003-charge")
    )


def _wait_for_the_one_charge(engine: Engine, id_: str) -> None:
    def charges() -> list[tuple[str, str]]:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT id, state FROM charges"))
            return [(row.id, row.state) for row in rows]

    wait_for(lambda: "succeeded" in str(charges()), what="the charge")
    assert charges() == [(id_, "succeeded")]


def test_what_curl_sends_is_a_request() -> None:
    (curl,) = (code for language, code in BLOCKS if language == "sh")
    fields = json.loads(re.findall(r"-d '(.*)'", curl)[0])
    (key,) = re.findall(r'"Idempotency-Key: (.*)"', curl)
    assert parsing.parse(ChargeRequest, {**fields, "idempotency_key": key}).currency == "USD"


@every("vector", json.loads((VECTORS / "ids.json").read_text()), ids=lambda v: v["id"])
def test_the_line_of_python_makes_the_id(vector):
    (line,) = (c for language, c in BLOCKS if language == "python" and c.startswith('"ch_"'))
    names = {"base64": base64, "hashlib": hashlib, **vector}
    made = eval(line.replace("charge", vector["kind"]), names)  # noqa: S307  # it is ours
    assert made[3:] == vector["id"][3:]


def test_the_asyncapi_document_is_one_by_its_own_schema(node: Node) -> None:
    # Of the package that AsyncAPI's own tools validate with.
    schemas = node.folder / "node_modules" / "@asyncapi" / "specs" / "schemas"
    schema = json.loads((schemas / "3.0.0-without-$id.json").read_text())
    document = json.loads((CHECKOUT / "docs" / "reference" / "asyncapi.json").read_text())
    jsonschema_rs.validator_for(schema).validate(document)
    document["channels"]["payments"]["adress"] = "payments"
    assert not jsonschema_rs.validator_for(schema).is_valid(document)


# --- the tables and numbers


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("billing.charge.create", ChargeRequest),
        ("billing.refund.create", RefundRequest),
        ("billing.charge.capture", CaptureRequest),
        ("billing.charge.cancel", CancelRequest),
    ],
)
def test_the_fields_are_those_of_the_request(task: str, model: type[BaseModel]) -> None:
    (row,) = re.findall(rf"^\| `{task}` \| (.*) \|$", WIRE, re.MULTILINE)
    documented = dict(re.findall(r"`(\w+)`(\\\*)?(?=[,\s]|$)", re.sub(r"\([^)]*\)", "", row)))
    assert set(documented) == set(model.model_fields)
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    # The key is not: a message has its id.
    assert {name for name, star in documented.items() if star} == needed - {"idempotency_key"}


METADATA = (
    f"`metadata` up to {METADATA_KEYS_MAX} names of {METADATA_KEY_MAX}"
    f" characters, values of {METADATA_VALUE_MAX}"
)
SIZES = (
    f"A body of more than {envelope.BODY_MAX_BYTES // 1024} KiB, an item of more than"
    f" {envelope.ITEM_MAX_BYTES // 1024} KiB, or JSON nested deeper than {envelope.DEPTH_MAX}"
)


@every(
    "sentence",
    [
        f"At most {AMOUNT_MAX:,}.",
        f"`idempotency_key` up to {TEXT_MAX} characters",
        f"text of 1 to {envelope.TASK_ID_MAX} characters",
        f"up to {MOMENT_AHEAD_MAX.days} days ahead",
        METADATA,
        SIZES,
    ],
)
def test_a_limit_is_the_real_one(sentence: str) -> None:
    assert sentence in WIRE
