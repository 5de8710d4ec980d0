"""What a second person says of what was asked for."""

from pydantic import Field

from infra.billing.contract.requests.request_fields import Asked, LongText


class SecondOpinion(Asked):
    """Approve it, or reject it: the path says which, and this says why."""

    reason: LongText = Field(
        description="Why; it stays in the history.", examples=["seen the organizer's mail"]
    )
