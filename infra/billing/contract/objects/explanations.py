"""What explains: entries of a timeline, and problem documents."""

from typing import Annotated

from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import Moment, OneOf, Shown
from infra.billing.contract.objects.refund_objects import A_REFUND
from infra.billing.contract.objects.resource import WithFacts

# What an entry may be, in the order in which those are told that were written at one moment, in
# one transaction.
WHAT = (
    "request",
    "rejection",
    "movement",
    "attempt",
    "stock",
    "refund",
    "dispute",
    "action",
    "event",
    "no_delivery",
    "delivery",
    "post",
    "delivered",
    "now",
)


class TimelineEntry(WithFacts):
    """One thing that happened to a charge or a refund. Beside these fields stand facts (ids, codes,
    numbers) that differ with `what`."""

    __slots__ = ()
    _shown = ("at", "what", "object_id")

    at: Moment
    what: Annotated[str, OneOf(WHAT), Shown("What kind of thing it is.", example="attempt")]
    object_id: Annotated[str, Shown("What it happened to.", examples=[A_CHARGE, A_REFUND])]
    text: Annotated[
        str,
        Shown(
            "It, in words for people.",
            example="attempt 1: charge → succeeded after 212 ms, by payments@till-1",
        ),
    ]


class Problem(WithFacts):
    """Why a request was refused (RFC 9457). Beside these fields stand facts that help the caller,
    such as `available` and `requested`."""

    __slots__ = ()
    _shown = ("status", "code", "param", "request_id")

    type: Annotated[
        str,
        Shown("Where the problem is explained.", format="uri-reference", example="about:blank"),
    ]
    title: Annotated[str, Shown("The problem in general.", example="Conflict")]
    status: Annotated[int, Shown("The HTTP status.", ge=400, le=599, example=409)]
    code: Annotated[
        str, Shown("Why, for programs: docs/reference/errors.md.", example="refund_exceeds_charge")
    ]
    detail: Annotated[
        str,
        Shown(
            "One sentence for people. Read `code` in programs. It says what to send instead.",
            example="The refund is more than what is left of the charge.",
        ),
    ]
    param: Annotated[
        str | None, Shown("The field that is wrong, when it is one.", example="amount")
    ]
    request_id: Annotated[
        str,
        Shown(
            "Of this request, as in the answer's header and our logs.",
            example="req_9f86d081884c7d65",
        ),
    ]
