"""Fields that charges and refunds have in common."""

from typing import Annotated

from infra.billing.contract import public_states
from infra.billing.contract.failures import DECLINES, FAILURES
from infra.billing.contract.objects.object_fields import Metadata as AnyMetadata
from infra.billing.contract.objects.object_fields import Moment, OneOf, Shown

STATE = "`pending`, until it is `succeeded` or `failed` for good."
PHASE = (
    "Where a pending one stands; null once it is final. `queued`: surely not executed, and"
    " due at once or later: scheduled, or to be tried again."
    " `in_flight`: a worker asks the processor. `unknown`: money may have moved; the processor is"
    " asked before anything else is done. `awaiting_customer`: the processor waits."
    " `authorized`: the money of a charge is set aside, to be captured."
    " `needs_review`: nobody could find out; a person decides."
    " `awaiting_approval`: a refund that a second person must approve before it is sent."
)

Phase = Annotated[
    Annotated[str, OneOf(public_states.Phase)] | None,
    Shown(PHASE, pending=public_states.Phase.QUEUED.value),
]
FailureCode = Annotated[
    str | None,
    Shown(
        "Why it failed, or null: one of the codes of docs/reference/errors.md. New ones may come.",
        examples=[*DECLINES, *FAILURES],
    ),
]
FailureMessage = Annotated[
    str | None, Shown("One sentence for people, or null. Read `failure_code` in programs.")
]
Livemode = Annotated[
    bool | None,
    Shown(
        "Whether the processor moves real money; the sandbox doesn't.", example=False, always=True
    ),
]
ProcessorReference = Annotated[str | None, Shown("The processor's own id of it, once it gave one.")]
Producer = Annotated[
    str,
    Shown(
        "Who asked for it: the name of the API key, or the `producer` of the message. Its id is"
        " made of this and the key.",
        example="shop",
    ),
]
Key = Annotated[
    str,
    Shown(
        "The key it was asked for under, or, over the broker without one, the message's task id."
    ),
]
Metadata = Annotated[AnyMetadata, Shown(pending={})]
CreatedAt = Annotated[Moment | None, Shown("When it was accepted. RFC 3339, in UTC.", always=True)]
SettledAt = Annotated[Moment | None, Shown("When it became final, or null.")]
