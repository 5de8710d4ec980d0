"""The deliveries that wait at an endpoint when it is deleted, or its order is relaxed."""

from sqlalchemy import String, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from models import Delivery, WebhookEndpoint
from models.base import table_of
from payments.transaction import Transaction

# Takes about a second, during which the endpoint's drainer waits.
LET_PASS_MAX = 10_000


def give_up(transaction: Transaction, *, limit: int) -> int:
    """Close up to `limit` deliveries that wait for deleted endpoints; returns how many.

    For the sweep: a deleted endpoint may have a million of them, and a transaction that began
    before the deletion may add more.
    """
    return len(transaction.execute(_GIVE_UP, {"limit": limit}).all())


def let_pass(transaction: Transaction, endpoint_id: str) -> bool:
    """Make deliveries that wait for an earlier event of their object due, as the order is relaxed
    now; returns whether there are any. The caller has locked the endpoint.

    The first waiting delivery of each object is enough, as it releases the next one. If more than
    LET_PASS_MAX objects wait, the others are checked within the hour.
    """
    given = {"endpoint": endpoint_id, "limit": LET_PASS_MAX}
    return bool(transaction.execute(_LET_PASS, given).rowcount)


# --- The statements, built once ---

_endpoints, _deliveries = table_of(WebhookEndpoint), table_of(Delivery)
_left = (
    select(_deliveries.c.id)
    .join(_endpoints, _endpoints.c.id == _deliveries.c.endpoint_id)
    .where(
        _endpoints.c.state == literal("deleted", literal_execute=True),
        _deliveries.c.state == literal("pending", literal_execute=True),
    )
)
# Whether `give_up` would find any.
ANY_LEFT = _left.exists()
_waiting = (
    _left.limit(bindparam("limit")).with_for_update(of=_deliveries, skip_locked=True).cte("waiting")
)
_GIVE_UP = (
    update(_deliveries)
    .where(_deliveries.c.id.in_(select(_waiting.c.id)))
    .values(state="exhausted", next_attempt_at=None, finished_at=func.now())
    .returning(_deliveries.c.id)
)
_held = (
    select(_deliveries.c.id)
    .where(
        _deliveries.c.endpoint_id == bindparam("endpoint", type_=String),
        _deliveries.c.state == literal("pending", literal_execute=True),
        _deliveries.c.waits_for.is_not(None),
    )
    .ext(distinct_on(_deliveries.c.object_id))
    .order_by(_deliveries.c.object_id, _deliveries.c.object_sequence)
    .limit(bindparam("limit"))
)
_LET_PASS = (
    update(_deliveries)
    .where(_deliveries.c.id.in_(_held))
    .values(waits_for=None, next_attempt_at=func.now())
)
