"""Deliveries of events to endpoints, and their attempts, field by field."""

from typing import Annotated, Literal

from infra.billing.contract.event_types import TYPES
from infra.billing.contract.ids import DELIVERY_PREFIX
from infra.billing.contract.objects.object_fields import Moment, OneOf, Shown, id_pattern
from infra.billing.contract.objects.resource import Resource
from infra.billing.contract.objects.webhook_objects import AN_ENDPOINT, AN_EVENT, EVENT_ID
from infra.billing.contract.words import DeliveryState, Trigger

A_DELIVERY = "del_n5xw4zlbmrswyylomrqxizlhnfxgo3dj"

_Ms = Annotated[int | None, Shown(ge=0)]
StatusCode = Annotated[
    int | None,
    Shown(
        "The HTTP status that it answered; null if there was no answer, and of a queue, which has"
        " none.",
        example=503,
    ),
]
# The words of `payments.webhooks.targets.target_port`.
Error = Annotated[
    str | None,
    Shown(
        "Why there was no answer, in one word: `timeout`, `connect_timeout`, `dns_failed`,"
        " `connection_refused`, `unreachable`, `connection_closed`, `tls_error`, `bad_response`,"
        " `target_not_allowed`, `invalid_url`, `internal_error`; or why a queue did not take it:"
        " `authentication_failed`, `target_not_found`, `unroutable`, `target_refused`. New ones may"
        " come.",
        example=None,
    ),
]


class DeliveryAttempt(Resource):
    """One post of a delivery, and what came of it."""

    __slots__ = ()
    _shown = ("number", "status_code", "error")

    number: Annotated[int, Shown("Counts the attempts of a delivery from 1.", ge=1, example=1)]
    trigger: Annotated[
        Trigger | None,
        Shown(
            "What made it: `scheduled`, the event or the schedule of retries; `replay`, a replay to"
            " the endpoint; `manual`, a retry of this delivery; `ping`. Null: from before it was"
            " kept.",
            example="scheduled",
        ),
    ]
    started_at: Moment
    duration_ms: Annotated[int, Shown("All of it, the answer's body too.", ge=0, example=212)]
    dns_ms: Annotated[
        _Ms,
        Shown("To look the host up. Null, as of all parts: it did not take place.", example=4),
    ]
    connect_ms: Annotated[_Ms, Shown("Until TCP was there. Null: a connection was kept.")]
    tls_ms: Annotated[_Ms, Shown("Until TLS was there.", example=31)]
    first_byte_ms: Annotated[
        _Ms, Shown("From the request to the answer's first byte; null: none came.", example=162)
    ]
    status_code: StatusCode
    error: Error
    remote_ip: Annotated[
        str | None, Shown("The address that was posted to.", example="203.0.113.7")
    ]
    response_headers: Annotated[
        dict[str, str] | None,
        Shown(
            "Of the answer, the first 50, each up to 256 characters. What may be a secret, such as"
            " a cookie, is `<hidden>`; addresses are told without their queries.",
            example={"content-type": "text/plain", "set-cookie": "<hidden>"},
        ),
    ]
    response_body: Annotated[
        str | None,
        Shown("The first 16 KiB of the answer; of a queue, what it said.", example="queue is full"),
    ]


class Delivery(Resource):
    """An event for an endpoint, and how its delivery stands."""

    __slots__ = ()
    _shown = ("id", "state", "event_type", "endpoint_id", "status_code", "error")

    id: Annotated[str, Shown(pattern=id_pattern(DELIVERY_PREFIX), example=A_DELIVERY)]
    object: Literal["delivery"]
    endpoint_id: Annotated[
        str, Shown("The endpoint that the webhook goes to.", example=AN_ENDPOINT)
    ]
    event_id: Annotated[
        str, Shown("What of: the `webhook-id`.", pattern=EVENT_ID, example=AN_EVENT)
    ]
    event_type: Annotated[
        str, OneOf(TYPES), Shown("What kind of event it is.", example="charge.succeeded")
    ]
    sequence: Annotated[
        int | None,
        Shown("Its place among all that the endpoint was sent; null: it was not yet.", ge=1),
    ]
    state: Annotated[
        DeliveryState,
        Shown(
            "`pending`: due at `next_attempt_at`, or as soon as its endpoint is enabled."
            " `delivered`: answered with 2xx. `exhausted`: given up after the last attempt, or"
            " because the endpoint was deleted."
        ),
    ]
    attempt_count: Annotated[int, Shown("How often it was posted so far.", ge=0, example=3)]
    status_code: StatusCode
    error: Error
    next_attempt_at: Annotated[Moment | None, Shown("When it is due next; null once it is final.")]
    created_at: Moment
    finished_at: Annotated[Moment | None, Shown("When it became final, or null.")]


class DeliveryWithAttempts(Delivery):
    """A delivery with its attempts: the last hundred, in their order."""

    __slots__ = ()

    attempts: list[DeliveryAttempt]
