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

from models.states import Phase, State
from payments.errors import InvalidRequest
from payments.reading import PAGE_MAX

LIMIT = 20
# In a URL a plus means a space, so a zone that was not escaped arrives with one.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")


def moment(name: str, value: object) -> datetime:
    """A moment with its zone out of a JSON body. Raises InvalidRequest."""
    try:
        # As text only: a number could mean seconds or milliseconds.
        return _MOMENT.validate_python(value if isinstance(value, str) else None)
    except ValidationError:
        raise InvalidRequest(
            f"{name} must be a moment with its zone, like 2026-11-22T10:00:00Z", param=name
        ) from None


def _with_plus(value: object) -> object:
    return _LOST_PLUS.sub("+", value) if isinstance(value, str) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_with_plus)]


_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Filters(BaseModel):
    """What every list has. Unknown names are refused: a misspelled filter would list everything."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    state: State | None = Field(None, description="Only those in this state.")
    phase: Phase | None = Field(None, description="Only pending ones that stand there.")
    created_after: Moment | None = Field(
        None, description="Only those created at this moment (RFC 3339) or later."
    )
    created_before: Moment | None = Field(
        None, description="Only those created before this moment (RFC 3339)."
    )
    limit: int = Field(LIMIT, ge=1, le=PAGE_MAX, description="How many at most.")
    cursor: str | None = Field(None, description="The `next_cursor` of the page before.")

    def conditions(self) -> dict[str, str | datetime]:
        """The filters for `payments.reading.page`."""
        given: dict[str, Any] = self.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        return given


class ChargeFilters(Filters):
    customer_id: str | None = Field(None, description="Only those of this customer.")
    reference: str | None = Field(None, description="Only those for this order id.")


class RefundFilters(Filters):
    charge_id: str | None = Field(None, description="Only those of this charge.")
