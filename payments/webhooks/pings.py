"""A ping: an event for a single endpoint, so that its owner can see that everything works."""

from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, insert, select

from infra.billing.contract.ids import event_id
from models import Delivery, DeliveryAttempt, Event
from models.base import table_of
from payments.access import audit_log
from payments.access.scopes import OPERATOR, Access
from payments.payment_errors import EndpointDisabled
from payments.transaction import Transaction
from payments.webhooks.endpoints import locked, next_number, view
from payments.webhooks.outbox import Fact, body_of
from payments.webhooks.pacing.troubles import probe


def ping(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> str:
    """Send the endpoint a `ping`, whatever its event types; returns the event's id.

    Signed, retried and kept like any other. Raises NotFound, EndpointDisabled.
    """
    endpoint = locked(transaction, endpoint_id, access=access)  # else two pings share a number
    if endpoint.state != "enabled":
        raise EndpointDisabled(param="endpoint_id")
    number, at = next_number(transaction, endpoint_id)
    fact = Fact("ping", endpoint_id, number, view(endpoint), at, endpoint.producer)
    event = {
        "id": event_id(fact.object_id, fact.sequence),
        "type": fact.type,
        "object_id": fact.object_id,
        "sequence": fact.sequence,
        "producer": fact.producer,
        "body": body_of(fact),
    }
    transaction.execute(insert(_events), event)
    # Without its object: a ping waits for no other event, or it would say nothing about a failing
    # endpoint.
    delivery = {"event_id": event["id"], "endpoint_id": endpoint_id, "trigger": "ping"}
    made = transaction.execute(insert(_deliveries).returning(_deliveries.c.id), delivery)
    audit_log.record(transaction, "endpoint.ping", endpoint_id, after={"event_id": event["id"]})
    probe(transaction, endpoint_id, made.scalar_one())
    return str(event["id"])


class Answered(NamedTuple):
    """The state of a ping's delivery, and its last post; all None before the first post."""

    state: str
    number: int | None
    status_code: int | None
    error: str | None
    duration_ms: int | None
    response_body: str | None


def came_of_it(connection: Connection, event_id: str) -> Answered:
    """The result of a ping so far."""
    return Answered(*connection.execute(_CAME_OF_IT, {"id": event_id}).one())


_events, _deliveries, _posts = (table_of(t) for t in (Event, Delivery, DeliveryAttempt))
_last = and_(_posts.c.delivery_id == _deliveries.c.id, _posts.c.number == _deliveries.c.attempts)
_CAME_OF_IT = (
    select(_deliveries.c.state, *(_posts.c[name] for name in Answered._fields[1:]))
    .join_from(_deliveries, _posts, _last, isouter=True)
    .where(_deliveries.c.event_id == bindparam("id"))
)
