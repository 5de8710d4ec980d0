"""What fields of public objects have in common, and what all of them are."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from infra.billing.contract.limits import METADATA_KEYS_MAX, QUANTITY_MAX
from infra.billing.contract.money import AMOUNT_MAX

ID = "[a-z2-7]{32}$"
METADATA = f"The caller's own names and values: up to {METADATA_KEYS_MAX}, text to text."

Moment = Annotated[
    # Text and not a datetime: what is documented is the very text that is sent.
    str,
    Field(
        description="RFC 3339, in UTC.",
        json_schema_extra={"format": "date-time"},
        examples=["2026-11-22T10:23:20.123456Z"],
    ),
]
CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["USD"])]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX, examples=[1999])]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]


class PublicObject(BaseModel):
    """Every field is always there, and null where there is nothing to say."""

    model_config = ConfigDict(strict=True)
