"""What a list may be narrowed down by, as the query of a URL."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic_core import PydanticCustomError

from infra.billing.contract.event_types import TYPES
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.moments import MOMENT
from infra.billing.contract.requests.request_fields import whole_number
from infra.billing.contract.requests.rules import id_of, id_schema
from infra.billing.contract.words import ApprovalState, DeliveryState
from models.states import DisputeState, Phase, State

LIMIT = 20
PageSize = Annotated[int, Field(ge=1, le=LIMIT_MAX), whole_number(1, LIMIT_MAX)]
_ChargeId = Annotated[
    str,
    Field(json_schema_extra=id_schema(PREFIXES["charge"])),
    id_of(PREFIXES["charge"], "a charge"),
]
_EventId = Annotated[str, Field(json_schema_extra=id_schema("evt_")), id_of("evt_", "an event")]
if TYPE_CHECKING:
    EventType = str
else:  # mypy takes no list for a Literal
    EventType = Literal[(*TYPES,)]
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
# In a URL a plus means a space, so a zone that was not escaped arrives with one.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")


def _as_written(value: object) -> object:
    # pydantic would take numbers, too, and guess whether they are seconds or milliseconds.
    if not isinstance(value, str) or not _DATE.match(value):
        raise PydanticCustomError("moment", MOMENT)
    return _LOST_PLUS.sub("+", value)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # in year 1 or 9999, and in UTC a day beyond
        raise PydanticCustomError("moment", MOMENT) from None


Moment = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_in_utc)]


class _Paged(BaseModel):
    """What every list has. Unknown names are refused: a misspelled filter would list everything."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: PageSize = Field(LIMIT, description="How many at most.")
    cursor: str = Field("", description="The `next_cursor` of the page before; empty: the first.")

    def conditions(self) -> dict[str, str | datetime]:
        """The filters for the function that reads a page."""
        given: dict[str, Any] = self.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        return given


class Filters(_Paged):
    """What lists of charges and of refunds have."""

    state: State | None = Field(None, description="Only those in this state.")
    phase: Phase | None = Field(None, description="Only pending ones that stand there.")
    created_after: Moment | None = Field(
        None, description="Only those created at this moment (RFC 3339) or later."
    )
    created_before: Moment | None = Field(
        None, description="Only those created before this moment (RFC 3339)."
    )


class ChargeFilters(Filters):
    customer_id: str | None = Field(None, description="Only those of this customer.")
    reference: str | None = Field(None, description="Only those for this order id.")
    price_id: str | None = Field(
        None, description="Only those by this price: its id, or its lookup key as it is now."
    )


class RefundFilters(Filters):
    charge_id: _ChargeId | None = Field(None, description="Only those of this charge.")


class DisputeFilters(_Paged):
    state: DisputeState | None = Field(None, description="Only those in this state.")
    charge_id: _ChargeId | None = Field(None, description="Only those of this charge.")


class AuditFilters(_Paged):
    actor: str | None = Field(
        None, description="Only what they did: a person's name, or the id of an API key."
    )
    action: str | None = Field(None, description="Only this, such as `charge.resolve`.")
    object_id: str | None = Field(None, description="Only what was done to it.")
    request_id: str | None = Field(None, description="Only what this request did.")
    since: Moment | None = Field(
        None, description="Only what was done at this moment (RFC 3339) or later."
    )
    until: Moment | None = Field(
        None, description="Only what was done before this moment (RFC 3339)."
    )


class ApprovalFilters(_Paged):
    state: ApprovalState | None = Field(None, description="Only those in this state.")
    object_id: str | None = Field(None, description="Only those of this charge or refund.")


class DeliveryFilters(_Paged):
    state: DeliveryState | None = Field(None, description="Only those in this state.")
    event_type: EventType | None = Field(None, description="Only those of events of this type.")
    event_id: _EventId | None = Field(None, description="Only that of this event.")
    since: Moment | None = Field(
        None, description="Only those made at this moment (RFC 3339) or later."
    )
    until: Moment | None = Field(None, description="Only those made before this moment (RFC 3339).")
    after_sequence: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Only those with a higher `sequence`, which is the `webhook-sequence`, and in"
        " the order of that.",
    )
