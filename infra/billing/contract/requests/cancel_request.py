"""The end of a charge, as it is asked for."""

from pydantic import Field

from infra.billing.contract.requests.request_fields import Asked, ChargeId, LongText, ProducerName


class CancelRequest(Asked):
    """End a charge before any money has moved for it."""

    charge_id: ChargeId = Field(description="The charge to cancel.")
    reason: LongText | None = Field(
        default=None,
        description="For people; it stays in the charge's history.",
        examples=["the customer left"],
    )
    producer: ProducerName = Field(
        default="default",
        description="Who asked for the charge; nobody else may cancel it.",
        examples=["shop"],
    )
