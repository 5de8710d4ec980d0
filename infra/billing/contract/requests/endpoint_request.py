"""A webhook endpoint, as it is asked for, and what may change of it.

A setting that is declared in `EndpointSettings`, is a column of its name in `models/webhooks.py`
and a field of the object `Endpoint` is settable at every door.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from infra.billing.contract import endpoint_checks
from infra.billing.contract.event_types import TYPES, UNASKED_FOR
from infra.billing.contract.limits import (
    ENDPOINT_DESCRIPTION_MAX,
    HEADERS_MAX,
    IN_FLIGHT,
    IN_FLIGHT_MAX,
    RATE_MAX,
    RETRIES_MAX,
    RETRY_MAX_S,
    TEXT_MAX,
    URL_MAX,
)
from infra.billing.contract.requests.request_fields import Asked, Text, checked, whole_number
from infra.billing.contract.requests.rules import bounds, characters, lengths
from infra.billing.contract.texts import PRODUCER
from infra.billing.contract.words import EndpointOrder, EndpointState, EndpointTrace

Url = Annotated[
    str,
    Field(json_schema_extra={"minLength": 1, "maxLength": URL_MAX, "format": "uri"}),
    BeforeValidator(lambda value: checked(endpoint_checks.url, value)),
]
EventTypes = Annotated[
    Sequence[str],
    Field(json_schema_extra={"items": {"type": "string", "enum": [*TYPES]}}),
    BeforeValidator(lambda value: checked(endpoint_checks.event_types, value)),
]
Description = Annotated[
    str,
    Field(json_schema_extra=lengths(0, ENDPOINT_DESCRIPTION_MAX)),
    characters(0, ENDPOINT_DESCRIPTION_MAX),
]
_HEADERS: dict[str, Any] = {
    "maxProperties": HEADERS_MAX,
    "propertyNames": {"pattern": f"^{endpoint_checks.HEADER_NAME}$"},
}
_VALUE = {"type": "string", "pattern": f"^{endpoint_checks.HEADER_VALUE}$"}
Headers = Annotated[
    dict[str, str],
    Field(json_schema_extra={**_HEADERS, "additionalProperties": _VALUE}),
    BeforeValidator(lambda value: checked(endpoint_checks.headers, value)),
]
HeaderChanges = Annotated[
    dict[str, str | None],
    Field(
        json_schema_extra={
            **_HEADERS,
            "additionalProperties": {**_VALUE, "type": ["string", "null"]},
        }
    ),
    BeforeValidator(lambda value: checked(endpoint_checks.header_changes, value)),
]
InFlight = Annotated[int, Field(ge=1, le=IN_FLIGHT_MAX), whole_number(1, IN_FLIGHT_MAX)]
Rate = Annotated[int, Field(ge=1, le=RATE_MAX), whole_number(1, RATE_MAX)]
_PAUSE: dict[str, Any] = {"type": "integer", **bounds(1, RETRY_MAX_S)}
RetrySchedule = Annotated[
    list[int],
    Field(json_schema_extra={"minItems": 1, "maxItems": RETRIES_MAX, "items": _PAUSE}),
    BeforeValidator(lambda value: checked(endpoint_checks.retry_schedule, value)),
]


# Which producer is allowed depends on the caller (payments/access/scopes.py).
Producer = Annotated[
    str, Field(json_schema_extra={"pattern": f"^{PRODUCER}$"}), characters(1, TEXT_MAX)
]


class Repeatable(Asked):
    """What may be asked under a key, and is then done once."""

    idempotency_key: Text | None = Field(
        default=None, description="As the header `Idempotency-Key`; send one of them."
    )


class EndpointSettings(Asked):
    """What is set of an endpoint when it is made and later. Its columns have the same defaults."""

    url: Url = Field(
        description="Where webhooks are sent: `https://…`, or a queue by `amqps://…` or `rediss://…`,"
        " whose user and password are kept as secrets are, and never shown.",
        examples=["https://shop.example.com/hooks"],
    )
    event_types: EventTypes = Field(
        default=(),
        description=f"The event types that it receives. None: every type but {UNASKED_FOR}.",
        examples=[["charge.succeeded", "charge.failed"]],
    )
    description: Description | None = Field(
        default=None, description="What people call it.", examples=["the shop"]
    )
    headers: Headers = Field(
        default_factory=dict,
        repr=False,
        description="Headers that every webhook there has besides ours, such as a key of your"
        " gateway. Their values are kept as secrets are, and never shown.",
        examples=[{"x-api-key": "k_1f0c9a"}],
    )
    max_in_flight: InFlight = Field(
        default=IN_FLIGHT,
        description="How many webhooks may be under way there at once.",
        examples=[16],
    )
    rate_limit: Rate | None = Field(
        default=None,
        description="How many webhooks per second it is sent at most. Absent: no limit. What waits"
        " for it uses up no try.",
        examples=[50],
    )
    retry_schedule: RetrySchedule | None = Field(
        default=None,
        description="Seconds from one try to the next, give or take a fifth; after the last it is"
        " given up. Absent: ten tries over three days, as Standard Webhooks has it.",
        examples=[[60, 600, 3600]],
    )
    ordered: EndpointOrder = Field(
        default="relaxed",
        description="`strict`: what happened to one object arrives in its order, whatever it waits"
        " for. `relaxed`: what can't be delivered holds up nothing for long.",
    )
    trace_context: EndpointTrace = Field(
        default="off",
        description="`forward`: webhooks have the header `traceparent` of the request that their"
        " charge or refund came from, if it had one. `off`: the trace is nobody else's.",
    )


class WebhookEndpointRequest(EndpointSettings, Repeatable):
    """Have events sent to a URL."""

    producer: Producer | None = Field(
        default=None,
        description="The producer whose events it receives. With a key for one producer"
        " that one; with a key for all producers any, or all without it.",
        examples=["shop"],
    )


class WebhookEndpointChanges(EndpointSettings):
    """What may change of an endpoint. What is not sent stays; null is as when nothing was said."""

    url: Url = Field(
        default="",
        description="Where webhooks are sent from now on. The user and password of a queue stay as"
        " long as its host does, unless the new one names others.",
    )
    headers: HeaderChanges = Field(  # type: ignore[assignment]  # null, too
        default_factory=dict,
        repr=False,
        description="Merged into what is there: a name is set by text, and unset by null. To send"
        " webhooks to another host, set or unset all of them: their values were not for it.",
        examples=[{"x-api-key": "k_2b7d40", "x-old-key": None}],
    )
    state: EndpointState = Field(
        default="enabled", description="While `disabled`, nothing is sent and new events pass by."
    )


# What null unsets, of what may change.
UNSETTABLE = frozenset(EndpointSettings.model_fields) - {"url"}
