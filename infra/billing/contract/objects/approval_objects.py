"""What a second person must approve, field by field."""

from typing import Annotated, Literal, get_args

from infra.billing.contract.ids import APPROVAL_PREFIX
from infra.billing.contract.objects.object_fields import (
    Amount,
    CurrencyCode,
    Moment,
    OneOf,
    Shown,
    id_pattern,
)
from infra.billing.contract.objects.refund_objects import A_REFUND
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.words import ApprovalOf, ApprovalState

AN_APPROVAL = "apr_l6k2mqn3hxgkb4tq5cr7vweyz2sduoai"


class Approval(Resource):
    """Something that somebody asked for, and that somebody else must approve before it is done."""

    __slots__ = ()
    _shown = ("id", "action", "object_id", "state")

    id: Annotated[str, Shown(pattern=id_pattern(APPROVAL_PREFIX), example=AN_APPROVAL)]
    object: Literal["approval"]
    state: Annotated[
        str,
        OneOf(get_args(ApprovalState)),
        Shown(
            "`pending`, until somebody decides. `overtaken`: it was settled otherwise before that.",
            example="pending",
        ),
    ]
    action: Annotated[
        str, OneOf(get_args(ApprovalOf)), Shown("What is to be done.", example="refund.create")
    ]
    object_id: Annotated[str, Shown("To what.", example=A_REFUND)]
    amount: Annotated[Amount | None, Shown("Of the refund, or of what is to be resolved.")]
    currency: Annotated[CurrencyCode | None, Shown("Of the amount.")]
    decision: Annotated[
        str | None,
        Shown("Of what is to be resolved: how (`succeeded`, `failed`, `retry`).", example="failed"),
    ]
    requested_by: Annotated[
        str,
        Shown(
            "Who asked: the name of a person, the id of an API key, or a producer, by message.",
            example="ann",
        ),
    ]
    requested_account: Annotated[
        str | None,
        Shown("The account or key under which they did, beside the name they gave.", example="ann"),
    ]
    request_reason: Annotated[
        str | None, Shown("Why, if they said so.", example="the concert was canceled")
    ]
    created_at: Annotated[Moment, Shown("When it was asked for.")]
    decided_by: Annotated[
        str | None, Shown("Who decided: a person's name or an API key's id.", example="ben")
    ]
    decision_reason: Annotated[str | None, Shown("Why.", example="seen the organizer's mail")]
    decided_at: Annotated[Moment | None, Shown("When that was, or null.")]
