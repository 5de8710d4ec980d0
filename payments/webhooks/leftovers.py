"""Deliveries that wait for endpoints which are deleted."""

from sqlalchemy import bindparam, func, literal, select, update

from models import Delivery, WebhookEndpoint
from models.base import table_of
from payments.transaction import Transaction


def give_up(transaction: Transaction, *, limit: int) -> int:
    """Be done with up to `limit` deliveries that wait for deleted endpoints; returns how many.

    For the sweep: an endpoint that is given up on may have a million of them, and a transaction
    that began before it was deleted may add more.
    """
    return len(transaction.execute(_GIVE_UP, {"limit": limit}).all())


# --- The statement, built once ---

_endpoints, _deliveries = table_of(WebhookEndpoint), table_of(Delivery)
_waiting = (
    select(_deliveries.c.id)
    .join(_endpoints, _endpoints.c.id == _deliveries.c.endpoint_id)
    .where(
        _endpoints.c.state == literal("deleted", literal_execute=True),
        _deliveries.c.state == literal("pending", literal_execute=True),
    )
    .limit(bindparam("limit"))
    .with_for_update(of=_deliveries, skip_locked=True)
    .cte("waiting")
)
_GIVE_UP = (
    update(_deliveries)
    .where(_deliveries.c.id.in_(select(_waiting.c.id)))
    .values(state="exhausted", next_attempt_at=None, finished_at=func.now())
    .returning(_deliveries.c.id)
)
