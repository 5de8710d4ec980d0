"""A ping: an event for one endpoint alone, so that its owner can see that all of it works."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, select

from infra.billing.contract.ids import event_id
from models import Delivery, DeliveryAttempt, Event
from models.base import table_of
from payments.access.scopes import OPERATOR, Access
from payments.errors import EndpointDisabled
from payments.transaction import Transaction
from payments.webhooks.endpoints import locked, next_number, view
from payments.webhooks.events import Fact, body_of


def ping(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> str:
    """Send the endpoint a `ping`, whatever its event types; returns the event's id.

    Signed, retried and kept like any other. Raises NotFound, EndpointDisabled.
    """
    endpoint = locked(transaction, endpoint_id, access=access)  # or two pings would have one number
    if endpoint["state"] != "enabled":
        raise EndpointDisabled(param="endpoint_id")
    now = next_number(transaction, endpoint_id)
    fact = Fact(
        "ping", endpoint_id, now["sequence"], view(endpoint), now["at"], endpoint["producer"]
    )
    event = {
        "id": event_id(fact.object_id, fact.sequence),
        "type": fact.type,
        "object_id": fact.object_id,
        "sequence": fact.sequence,
        "producer": fact.producer,
        "body": body_of(fact),
    }
    transaction.execute(insert(_events), event)
    delivery = {"event_id": event["id"], "endpoint_id": endpoint_id}
    transaction.execute(insert(_deliveries), delivery)
    transaction.wakes.endpoints.add(endpoint_id)
    return str(event["id"])


def came_of_it(connection: Connection, event_id: str) -> Mapping[Any, Any]:
    """What became of a ping so far: `state` of its delivery, and of the last post `number` (None
    before the first), `status_code`, `error`, `duration_ms`, `response_body`."""
    return connection.execute(_CAME_OF_IT, {"id": event_id}).mappings().one()


_events, _deliveries, _posts = (table_of(t) for t in (Event, Delivery, DeliveryAttempt))
_last = and_(_posts.c.delivery_id == _deliveries.c.id, _posts.c.number == _deliveries.c.attempts)
_CAME_OF_IT = (
    select(
        _deliveries.c.state,
        *(_posts.c[n] for n in ("number", "status_code", "error", "duration_ms", "response_body")),
    )
    .join_from(_deliveries, _posts, _last, isouter=True)
    .where(_deliveries.c.event_id == bindparam("id"))
)
