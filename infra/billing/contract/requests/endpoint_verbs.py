"""What may be done with a webhook endpoint: a ping, another secret, what was sent once more."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from infra.billing.contract import endpoint_checks
from infra.billing.contract.limits import EVENT_IDS_MAX, OVERLAP_MAX_S, OVERLAP_S
from infra.billing.contract.moments import MOMENT, moment
from infra.billing.contract.objects.webhook_objects import AN_EVENT, EVENT_ID
from infra.billing.contract.requests.endpoint_request import Repeatable
from infra.billing.contract.requests.request_fields import checked, refused
from infra.billing.contract.requests.rules import bounds
from infra.billing.contract.words import ReplayOf

# Where the feed goes on: a bigint.
_AFTER_MAX = 2**63 - 1
_IDS: dict[str, Any] = {
    "minItems": 1, "maxItems": EVENT_IDS_MAX, "items": {"type": "string", "pattern": EVENT_ID},
}  # fmt: skip


class Ping(Repeatable):
    """An event of type `ping`, whatever the endpoint asks for."""


class Retry(Repeatable):
    """A delivery once more."""


class SecretRotation(Repeatable):
    """Another secret."""

    overlap_s: Annotated[
        int,
        Field(json_schema_extra=bounds(0, OVERLAP_MAX_S)),
        BeforeValidator(lambda value: checked(endpoint_checks.overlap_s, value)),
    ] = Field(
        default=OVERLAP_S,
        description="For this many seconds the previous secret signs, too.",
        examples=[3600],
    )


class Replay(Repeatable):
    """Events once more: these, or those of a time."""

    event_ids: (
        Annotated[
            list[str],
            Field(json_schema_extra=_IDS),
            BeforeValidator(lambda value: checked(endpoint_checks.event_ids, value)),
        ]
        | None
    ) = Field(
        default=None,
        description="Exactly these, whatever became of them.",
        examples=[[AN_EVENT]],
    )
    since: datetime | None = Field(
        default=None,
        description="Those created at this moment or later,",
        examples=["2026-11-22T10:00:00Z"],
    )
    until: datetime | None = Field(
        default=None, description="and before this one.", examples=["2026-11-22T11:00:00Z"]
    )
    only: ReplayOf = Field(
        default="undelivered",
        description="Of those: what was tried and not delivered (`failed`); what was never to be"
        " sent, as the endpoint was not there, was disabled or asked for other types (`missed`);"
        " both, and what still waits (`undelivered`); or `all`.",
    )
    after: Annotated[int, Field(json_schema_extra=bounds(0, _AFTER_MAX))] = Field(
        default=0, description="The `next_after` of the call before.", examples=[1042]
    )

    @field_validator("since", "until", mode="before")
    @classmethod
    def _moment(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or (at := moment(value)) is not None:
            return value if value is None else at
        raise refused(f"{info.field_name} {MOMENT}")

    @field_validator("after", mode="before")
    @classmethod
    def _after(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _AFTER_MAX:
            raise refused("after must be the next_after of the call before")
        return value

    @field_validator("since", "until", "only", "after", mode="before")
    @classmethod
    def _of_a_time(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("event_ids") is not None:
            if info.field_name == "since":
                raise refused("send event_ids or since, not both")
            raise refused(f"{info.field_name} goes with since; send that in place of event_ids")
        return value
