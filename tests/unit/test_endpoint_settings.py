"""Every setting of an endpoint that can be asked for is kept, shown, and explained.

What these find is tried on a real database in tests/house/test_new_setting.py.
"""

from typing import Any, Literal, get_args, get_origin

import pytest

from infra.billing.contract.objects import Endpoint
from infra.billing.contract.objects.object_fields import fields_of
from infra.billing.contract.requests.endpoint_request import (
    EndpointSettings,
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from models import WebhookEndpoint
from models.base import table_of
from tests.support.every import every

SETTINGS = EndpointSettings.model_fields
COLUMNS = table_of(WebhookEndpoint).c
# What is shown and is no setting, as it comes of being made, or is done by a verb.
BECOMES = {"id", "object", "producer", "state", "created_at", "health"} | {
    "disabled_because",
    "failing_since",
    "held_back_until",
    "held_back_because",
}


@every("name", SETTINGS)
def test_a_setting_is_kept(name: str) -> None:
    kept = ("header_names", "header_values") if name == "headers" else (name,)
    assert all(column in COLUMNS for column in kept), "models/webhooks.py, with a migration"


def test_what_is_set_is_shown_and_what_is_shown_is_set_or_comes_of_it() -> None:
    assert set(fields_of(Endpoint)) - BECOMES == set(SETTINGS)


@every("name", SETTINGS)
def test_a_setting_says_what_it_means(name: str) -> None:
    field = SETTINGS[name]
    has_few_values = get_origin(field.annotation) is Literal
    assert field.description
    assert field.examples or has_few_values, "examples of Field(…)"


@every("name", set(SETTINGS) - {"url", "headers"})
def test_a_setting_has_one_default_in_its_model_and_its_column(name: str) -> None:
    default: Any = SETTINGS[name].get_default()
    column = COLUMNS[name]
    kept = None if column.server_default is None else str(column.server_default.arg)
    said = {None: None, (): "'{}'"}.get(default, str(default))
    assert (kept, column.nullable) == (said, default is None)


def test_a_new_endpoint_and_one_that_changes_have_the_same_settings() -> None:
    for model, besides in (
        (WebhookEndpointRequest, {"idempotency_key", "producer"}),
        (WebhookEndpointChanges, {"state"}),
    ):
        assert set(model.model_fields) - besides == set(SETTINGS)


@pytest.mark.parametrize("name", ["ordered", "trace_context", "state"])
def test_what_has_few_values_has_the_same_in_both(name: str) -> None:
    asked = WebhookEndpointChanges.model_fields[name].annotation
    assert set(get_args(asked)) == set(get_args(get_args(fields_of(Endpoint)[name])[0]))
