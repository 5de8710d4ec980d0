"""A capture, as it is asked for: an amount of a charge whose money is set aside, or all of it."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.request_fields import MONEY, ChargeId, Keyed, minor, truth


class CaptureRequest(Keyed):
    """Take `amount` minor units of a charge that is authorized, or all that is left of it."""

    charge_id: ChargeId = Field(description="The charge to capture.")
    amount: Annotated[int, Field(json_schema_extra=MONEY)] | None = Field(
        default=None,
        description="In minor units of the charge's currency. Absent: all that is left.",
        examples=[1500],
    )
    final: bool = Field(
        default=True,
        description="Whether this is the last capture: what it leaves is let go of, and the charge"
        " has succeeded. With `false` the rest stays set aside, where the processor can do that.",
    )

    @field_validator("amount", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> int | None:
        return None if value is None else minor(value, info)

    @field_validator("final", mode="before")
    @classmethod
    def _final(cls, value: Any, info: ValidationInfo) -> Any:
        return truth(value, info)

    @cached_property
    def id(self) -> str:
        return id_from_key("capture", producer=self.producer, key=self.idempotency_key)
