"""A refund, as it is asked for: an amount of a charge, or all that is left of it."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.requests.request_fields import (
    MONEY,
    ChargeId,
    LongText,
    Quantity,
    Request,
    minor,
    refused,
    truth,
)
from infra.billing.contract.requests.rules import between, bounds
from infra.billing.contract.words import Waiting


class RefundRequest(Request):
    """Give back `amount` minor units of a charge, or all that is left of it."""

    charge_id: ChargeId = Field(description="The charge to refund.")
    amount: Annotated[int, Field(json_schema_extra=MONEY)] | None = Field(
        default=None,
        description="In minor units of the charge's currency. Absent: all that is left.",
        examples=[500],
    )
    reason: LongText | None = Field(
        default=None, description="For people.", examples=["one seat too many"]
    )
    if_pending: Waiting = Field(
        default="wait",
        description="What to do while the charge is pending: wait for it, or refuse the refund.",
    )
    if_missing: Waiting | None = Field(
        default=None,
        description="What to do while there is no such charge: wait for it, up to ten minutes, as"
        " its message may still be on its way, or refuse the refund with `not_found`. By message"
        " `wait` unless said otherwise, at every other door `reject`.",
    )
    expected_refunded_amount: (
        Annotated[int, Field(json_schema_extra=bounds(0, AMOUNT_MAX)), between(0, AMOUNT_MAX)]
        | None
    ) = Field(
        default=None,
        description="Refuse the refund unless exactly this much was refunded or is being refunded:"
        " unless `refunded_amount` and `refund_pending_amount` of the charge add up to it. For two"
        " people at two tills.",
        examples=[0],
    )

    restock: bool = Field(
        default=False,
        description="Whether the goods come back, too: the units of the charge are for sale again"
        " when the refund succeeds.",
    )
    restock_quantity: Quantity | None = Field(
        default=None,
        validate_default=True,
        description="How many units come back. Absent: all that are still out. With `restock` and"
        " an amount it must be said.",
        examples=[1],
    )

    @field_validator("amount", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> int | None:
        return None if value is None else minor(value, info)

    @field_validator("restock", mode="before")
    @classmethod
    def _restock(cls, value: Any, info: ValidationInfo) -> Any:
        return truth(value, info)

    @field_validator("restock_quantity", mode="before")
    @classmethod
    def _restock_quantity(cls, value: Any, info: ValidationInfo) -> Any:
        restock = info.data.get("restock")
        if value is not None and not restock:
            raise refused("restock_quantity is how many units come back; send restock=true, too")
        if value is None and restock and info.data.get("amount") is not None:
            raise refused(
                "restock_quantity is required for a refund of an amount: how many units come back"
            )
        return value

    def asked(self) -> dict[str, Any]:
        """As ever. Not to restock is what every refund was that is older than this field."""
        asked = super().asked()
        if not self.restock:
            del asked["restock"]
        return asked

    @cached_property
    def id(self) -> str:
        return id_from_key("refund", producer=self.producer, key=self.idempotency_key)
