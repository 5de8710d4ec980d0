"""What webhooks tell, and whom: events, endpoints, and requests that were refused."""

from typing import Annotated, Any, Literal

from infra.billing.contract.endpoint_checks import MASKED
from infra.billing.contract.event_types import TYPES, UNASKED_FOR
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.limits import IN_FLIGHT, IN_FLIGHT_MAX, RATE_MAX, RECENT_MAX
from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.object_fields import Moment, OneOf, Shown, id_pattern
from infra.billing.contract.objects.refund_objects import A_REFUND
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.words import (
    DisabledBecause,
    EndpointOrder,
    EndpointState,
    EndpointTrace,
    HeldBackBecause,
)

AN_EVENT = "evt_c7dnqoq2lixhqxkbpgnfzxg7mqbdq5gk"
AN_ENDPOINT = "we_mfrggzdfmztwq2lknnwg23tpobyxe43u"
EVENT_ID = id_pattern("evt_")


class Event(Resource):
    """An event, as its webhook tells it, with its id and its place in the feed."""

    __slots__ = ()
    _shown = ("id", "type", "sequence")

    # Of a webhook, its header `webhook-id`.
    id: Annotated[str, Shown("The same on every try.", pattern=EVENT_ID, example=AN_EVENT)]
    # Only in the feed.
    position: Annotated[int, Shown("Its place in the feed.", ge=1, example=1042)]
    type: Annotated[
        str, OneOf(TYPES), Shown("What kind of fact it is.", example="charge.succeeded")
    ]
    timestamp: Annotated[Moment, Shown("When it became true. RFC 3339, in UTC.")]
    sequence: Annotated[
        int,
        Shown(
            "Counts the events of one object from 1: for their order, and to see gaps.",
            ge=1,
            example=1,
        ),
    ]
    # A Charge, a Refund, a Price: by the type.
    data: Annotated[Resource, Shown("The object as it was then.")]


class EndpointHealth(Resource):
    """How an endpoint is doing: of its last hundred attempts, however long ago they were, and of
    what waits for it."""

    __slots__ = ()
    _shown = ("attempts", "success_rate", "p95_ms")

    attempts: Annotated[
        int, Shown("The attempts that are counted here.", ge=0, le=RECENT_MAX, example=RECENT_MAX)
    ]
    success_rate: Annotated[
        float | None,
        Shown(
            "Those of them that were answered with 2xx, from 0 to 1; null: none yet.", ge=0, le=1
        ),
    ]
    p95_ms: Annotated[
        int | None,
        Shown("19 of 20 of those took no longer, in milliseconds; null: none yet.", ge=0),
    ]
    last_success_at: Annotated[Moment | None, Shown("When the last 2xx was recorded; null: never.")]
    oldest_due_at: Annotated[
        Moment | None, Shown("Since when its oldest delivery is due; null: nothing is.")
    ]
    local_fault: Annotated[
        str | None, Shown("What last kept the service itself from sending; null: nothing did.")
    ]
    local_fault_at: Annotated[Moment | None, Shown("When that was; null: never.")]


class Endpoint(Resource):
    """A receiver of webhooks. Its secret is shown once, when it is made."""

    __slots__ = ()
    # Neither its url, which may hold a password, nor the secret.
    _shown = ("id", "state")

    id: Annotated[str, Shown(pattern=id_pattern("we_"), example=AN_ENDPOINT)]
    object: Literal["webhook_endpoint"]
    producer: Annotated[
        str | None,
        Shown(
            "The producer whose events it receives, besides those of products and prices, which"
            " any endpoint may receive. Null: those of all producers.",
            example="shop",
        ),
    ]
    url: Annotated[
        str,
        Shown(
            "Where webhooks are sent. The user and password of a queue are left out.",
            format="uri",
            example="https://shop.example.com/hooks",
        ),
    ]
    description: Annotated[str | None, Shown("What people call it.", example="the shop")]
    event_types: Annotated[
        list[Annotated[str, OneOf(TYPES)]],
        Shown(
            f"The event types that it receives. Empty: every type but {UNASKED_FOR}.",
            example=["charge.succeeded", "charge.failed"],
        ),
    ]
    max_in_flight: Annotated[
        int,
        Shown(
            "How many webhooks may be under way there at once.",
            ge=1,
            le=IN_FLIGHT_MAX,
            example=IN_FLIGHT,
        ),
    ]
    headers: Annotated[
        dict[str, str],
        Shown(
            "Headers that every webhook there has besides ours. In place of each value stands"
            f" `{MASKED}`.",
            example={"x-api-key": MASKED},
        ),
    ]
    rate_limit: Annotated[
        int | None,
        Shown(
            "How many webhooks per second it is sent at most. Null: no limit.",
            ge=1,
            le=RATE_MAX,
            example=50,
        ),
    ]
    retry_schedule: Annotated[
        list[int] | None,
        Shown(
            "Seconds from one try to the next, give or take a fifth. Null: ten tries over three"
            " days, as Standard Webhooks has it.",
            example=[60, 600, 3600],
        ),
    ]
    ordered: Annotated[
        EndpointOrder,
        Shown(
            "`strict`: what happened to one object arrives in its order, whatever it waits for."
            " `relaxed`: what can't be delivered holds up nothing for long."
        ),
    ]
    trace_context: Annotated[
        EndpointTrace,
        Shown(
            "`forward`: webhooks have the header `traceparent` of the request that their charge or"
            " refund came from, if it had one (W3C Trace Context)."
        ),
    ]
    state: Annotated[
        EndpointState,
        Shown("While `disabled`, nothing is sent and new events pass it by."),
    ]
    disabled_because: Annotated[
        DisabledBecause | None,
        Shown(
            "Why it was disabled, when no person did it: `gone`, it answered 410; `failing`, it"
            " accepted nothing for 120 hours. Its webhooks wait until it is enabled.",
            example=None,
        ),
    ]
    failing_since: Annotated[
        Moment | None,
        Shown("When the first webhook failed behind the last that was accepted.", example=None),
    ]
    held_back_until: Annotated[
        Moment | None,
        Shown(
            "Nothing is sent until then. Webhooks wait meanwhile, and none uses up an attempt.",
            example=None,
        ),
    ]
    held_back_because: Annotated[
        HeldBackBecause | None,
        Shown(
            "Why: `retry_after`, it asked for it with 429 or 503; `failing`, most webhooks failed"
            " lately; `gone`, it answered 410 and is about to be disabled; `local_fault`, the"
            " service itself could not send, and tries again in seconds.",
            example=None,
        ),
    ]
    created_at: Moment
    health: Annotated[EndpointHealth, Shown("How it is doing.")]


class NewEndpoint(Endpoint):
    """An endpoint with its secret, which is shown now, and for a day to repeats under the same key;
    then it is null."""

    __slots__ = ()

    secret: Annotated[
        str | None,
        Shown(
            "What its webhooks are signed with.",
            pattern="^whsec_",
            example="whsec_ZXhhbXBsZSBleGFtcGxlIGV4YW1wbGUgZXhhbXBsZSE=",
        ),
    ]


class Pinged(Resource):
    """A `ping` that was sent."""

    __slots__ = ()

    event_id: Annotated[str, Shown("The `webhook-id` to look out for.", example=AN_EVENT)]


class Replayed(Resource):
    """Events that are sent again."""

    __slots__ = ()

    replayed: Annotated[int, Shown("How many are sent again.")]
    has_more: Annotated[bool, Shown("Whether there are more: send `next_after` as `after`.")]
    next_after: Annotated[int, Shown("Where the next call goes on.")]


class RejectedRequest(Resource):
    """A request that came by message and was refused. Nothing was written but this."""

    __slots__ = ()
    _shown = ("id", "task", "code", "param")

    object: Literal["rejected_request"]
    id: Annotated[
        str,
        Shown(
            "The same message refused for the same reason has the same id.",
            pattern=id_pattern("rej_"),
            example="rej_c7dnqoq2lixhqxkbpgnfzxg7mqbdq5gk",
        ),
    ]
    task: Annotated[
        str,
        Shown("What was asked for.", examples=[f"billing.{kind}.create" for kind in PREFIXES]),
    ]
    task_id: Annotated[
        str | None,
        Shown("The id in the message's headers.", example="b0e7a1c2-8f63-4b1e-9d1a-5f7a0c3d2e11"),
    ]
    producer: Annotated[str | None, Shown("Who asked, when it could be read.", example="default")]
    idempotency_key: Annotated[
        str | None,
        Shown(
            "The request's own key, when it had one that could be read.",
            example="order-1001-charge",
        ),
    ]
    object_id: Annotated[
        str | None,
        Shown(
            "The id that the charge or refund would have had. One may be there: from another"
            " request under the same key.",
            examples=[A_CHARGE, A_REFUND],
        ),
    ]
    code: Annotated[
        str, Shown("Why, for programs: docs/reference/errors.md.", example="invalid_request")
    ]
    param: Annotated[
        str | None, Shown("The field that is wrong, when it is one.", example="amount")
    ]
    detail: Annotated[
        str,
        Shown(
            "One sentence for people. Read `code` in programs. It says what to send instead.",
            example="amount must be at least 1 minor unit, not 0",
        ),
    ]
    request: Annotated[
        dict[str, Any],
        Shown(
            "The request without what may be personal: amounts, currencies and ids as they came,"
            " of every other value only its type (`<str>`).",
            example={"amount": 0, "currency": "USD", "customer_id": "<str>"},
        ),
    ]
    facts: Annotated[
        dict[str, Any],
        Shown(
            "Numbers and ids that help, such as `available`; often empty.",
            example={"requested": 500, "available": 300},
        ),
    ]
