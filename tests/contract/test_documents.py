"""The documents in docs/ are what the code makes, and are what they say they are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

import infra.billing.errors as sdk
from api.description.event_bodies import DATA
from api.documents import error_reference as catalogue
from api.documents import setting_reference as settings_page
from api.documents.files import CHECKOUT, DOCUMENTS
from infra.billing.contract.error_codes import CODES
from infra.billing.contract.event_types import ONLY_BY_NAME
from infra.billing.contract.failures import DECLINES, FAILURES
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.requests.by_kind import MODELS
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from service.settings import Settings
from tests.support.every import every
from tests.unit.test_envelope import NOT_TASKS, TASKS
from worker.envelope import Broken, read

ASYNCAPI = json.loads((CHECKOUT / "docs/reference/asyncapi.json").read_text())
ERRORS = (CHECKOUT / "docs/reference/errors.md").read_text()
OPENAPI = json.loads((CHECKOUT / "docs/reference/openapi.json").read_text())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_what_the_code_makes(name):
    assert (CHECKOUT / name).read_text() == DOCUMENTS[name](), "run: python -m api.documents"


# --- AsyncAPI


def _refs(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(ref)}:
            yield ref
        case dict():
            for one in value.values():
                yield from _refs(one)
        case list():
            for one in value:
                yield from _refs(one)


def _at(ref: str) -> Any:
    value = ASYNCAPI
    for part in ref.removeprefix("#/").split("/"):
        value = value[part]
    return value


def _validator(schema: dict[str, Any]) -> Any:
    """For a schema of the document, as AsyncAPI 3 reads it: JSON Schema, draft 07."""
    root = {"components": ASYNCAPI["components"]}
    return jsonschema_rs.Draft7Validator({**root, "allOf": [schema]}, validate_formats=True)


def test_everything_that_is_referred_to_is_there():
    refs = set(_refs(ASYNCAPI))
    assert refs
    for ref in refs:
        assert _at(ref), ref


MESSAGES = ASYNCAPI["components"]["messages"]


@every("name", MESSAGES)
def test_every_message_has_schemas_and_its_examples_are_ones(name):
    message = MESSAGES[name]
    payload, headers = _validator(message["payload"]), _validator(message["headers"])
    for example in message.get("examples", ()):
        payload.validate(example["payload"])
        headers.validate(example.get("headers") or _headers(message))


def _headers(message: dict[str, Any]) -> dict[str, str]:
    return {name: of["examples"][0] for name, of in message["headers"]["properties"].items()}


def test_every_task_that_asks_and_every_webhook_that_is_sent_are_in_it():
    tasks = [f"billing.{kind}.create" for kind in PREFIXES]
    tasks += ["billing.charge.capture", "billing.charge.cancel"]
    assert list(ASYNCAPI["channels"]["payments"]["messages"]) == tasks
    assert list(ASYNCAPI["channels"]["webhooks"]["messages"]) == list(DATA)
    asked_for = {name for name in DATA if "by name" in MESSAGES[name].get("description", "")}
    assert asked_for == set(ONLY_BY_NAME)


@pytest.mark.parametrize("kind", PREFIXES)
def test_the_example_of_a_task_is_accepted(kind):
    (example,) = MESSAGES[f"billing.{kind}.create"]["examples"]
    args, kwargs, _ = example["payload"]
    assert args == []
    assert parse(MODELS[kind], kwargs).id.startswith(PREFIXES[kind])
    with pytest.raises(InvalidRequest):
        parse(MODELS[kind], {**kwargs, "amount": 0})


def test_the_payload_of_a_task_is_three_things():
    payload = _validator(MESSAGES["billing.charge.create"]["payload"])
    kwargs = {"amount": 1, "currency": "USD"}
    assert payload.is_valid([[], kwargs, {}])
    assert payload.is_valid([[], kwargs, None])
    for other in ([[], kwargs], [[], kwargs, {}, {}], [[1], kwargs, {}], [[], {"amount": 1}, {}]):
        assert not payload.is_valid(other)


# --- the pages for people


def test_every_setting_says_what_it_is_for():
    silent = [name for name in Settings.model_fields if not settings_page.reasons()[name]]
    assert not silent, "write a comment right above these"


def test_every_group_of_settings_has_one():
    page = DOCUMENTS["docs/reference/settings.md"]()
    for section in page.split("\n## ")[1:]:
        assert "\n### BILLING_" in section, section
    assert page.count("\n### ") == len(Settings.model_fields)


def test_every_route_and_object_has_a_place_of_its_own():
    routes, objects = (DOCUMENTS[f"docs/reference/{one}.md"]() for one in ("routes", "objects"))
    for path, operations in OPENAPI["paths"].items():
        for method in operations:
            assert routes.count(f"\n`{method.upper()} {path}`") == 1
    for name in OPENAPI["components"]["schemas"]:
        is_envelope = name.endswith("Event") and name != "ProcessorEvent"  # of a webhook
        assert objects.count(f"\n## {name}\n") == (not is_envelope)
    for page in (routes, objects, DOCUMENTS["docs/reference/events.md"]()):
        for place in re.findall(r"\(objects\.md#([a-z-]+)\)", page):
            assert f"\n## {place}\n" in objects.lower(), place
    for page in (routes, objects):
        headings = re.findall(r"^#+ (.*)$", page.lower(), re.MULTILINE)
        assert len(set(headings)) == len(headings), "an anchor has one place"


def test_every_command_says_what_it_does():
    page = DOCUMENTS["docs/reference/command-line.md"]()
    for section in page.split("\n## ")[1:]:
        name, text, *_ = section.split("\n\n")
        assert re.match(r"[A-Z].*[.:]", text), name


# --- the catalogue of errors


def test_every_error_of_the_service_says_what_to_do():
    codes = [one.code for one in catalogue.refusals()]
    assert sorted(codes) == sorted(CODES)


def test_an_error_without_a_better_message_says_what_its_code_means():
    for one in catalogue.refusals():
        assert (one.status, str(one())) == (CODES[one.code].status, CODES[one.code].sentence)


def test_every_failure_says_what_to_do():
    assert list(catalogue.AFTER_A_FAILURE) == [*DECLINES, *FAILURES]


def test_every_error_of_the_sdk_is_in_it():
    for one in catalogue.codes(sdk.BillingError):
        assert f"`{one.__name__}`" in ERRORS or one is sdk.BillingError


@every("case", NOT_TASKS)
def test_the_reason_of_a_quarantine_is_in_it(case):
    with pytest.raises(Broken) as broken:
        read(NOT_TASKS[case], TASKS)
    patterns = [re.escape(reason).replace("…", ".+") for reason in catalogue.reasons()]
    assert any(re.fullmatch(pattern, str(broken.value)) for pattern in patterns)
