"""A ping: an event for one endpoint alone, so that its owner can see that all of it works."""

from sqlalchemy import bindparam, func, insert, select

from models import Delivery, Event
from models.base import table_of
from models.ids import event_id
from payments.errors import EndpointDisabled
from payments.transaction import Transaction
from payments.webhooks.endpoints import locked, view
from payments.webhooks.events import Fact, body_of


def ping(transaction: Transaction, endpoint_id: str) -> str:
    """Send the endpoint a `ping`, whatever its event types; returns the event's id.

    Signed, retried and kept like any other. Raises NotFound, EndpointDisabled.
    """
    endpoint = locked(transaction, endpoint_id)  # or two pings would have one number
    if endpoint["state"] != "enabled":
        raise EndpointDisabled(param="endpoint_id")
    (now,) = transaction.rows(_NUMBERED, {"endpoint_id": endpoint_id})
    fact = Fact("ping", endpoint_id, now["sequence"], view(endpoint), now["at"])
    event = {
        "id": event_id(fact.object_id, fact.sequence),
        "type": fact.type,
        "object_id": fact.object_id,
        "sequence": fact.sequence,
        "body": body_of(fact),
    }
    transaction.execute(insert(_events), event)
    delivery = {"event_id": event["id"], "endpoint_id": endpoint_id}
    transaction.execute(insert(_deliveries), delivery)
    transaction.wakes.endpoints.add(endpoint_id)
    return str(event["id"])


_events, _deliveries = table_of(Event), table_of(Delivery)
_NUMBERED = select(
    (func.coalesce(func.max(_events.c.sequence), 0) + 1).label("sequence"), func.now().label("at")
).where(_events.c.object_id == bindparam("endpoint_id"))
