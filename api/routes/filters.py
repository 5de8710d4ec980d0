"""What a list may be narrowed down by, as the query of a URL."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.moments import MOMENT
from infra.billing.contract.requests.fields import whole_number
from infra.billing.contract.requests.rules import id_of, id_schema
from models.states import DisputeState, Phase, State
from payments.errors import InvalidRequest

LIMIT = 20
PageSize = Annotated[int, Field(ge=1, le=LIMIT_MAX), whole_number(1, LIMIT_MAX)]
_ChargeId = Annotated[
    str,
    Field(json_schema_extra=id_schema(PREFIXES["charge"])),
    id_of(PREFIXES["charge"], "a charge"),
]
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
# In a URL a plus means a space, so a zone that was not escaped arrives with one.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")


def moment(name: str, value: object) -> datetime:
    """A moment with its zone out of a JSON body. Raises InvalidRequest."""
    try:
        return _MOMENT.validate_python(value)
    except ValidationError:
        raise InvalidRequest(f"{name} {MOMENT}", param=name) from None


def _as_written(value: object) -> object:
    # pydantic would take numbers, too, and guess whether they are seconds or milliseconds.
    if not isinstance(value, str) or not _DATE.match(value):
        raise PydanticCustomError("moment", MOMENT)
    return _LOST_PLUS.sub("+", value)


Moment = Annotated[AwareDatetime, BeforeValidator(_as_written)]


_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


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
