"""What becomes of the deliveries that wait at an endpoint when that is deleted, or its order is
relaxed."""

from sqlalchemy import String, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from models import Delivery, WebhookEndpoint
from models.base import table_of
from payments.transaction import Transaction

# About a second, in which the endpoint's drainer waits.
LET_PASS_MAX = 10_000


def give_up(transaction: Transaction, *, limit: int) -> int:
    """Be done with up to `limit` deliveries that wait for deleted endpoints; returns how many.

    For the sweep: an endpoint that is given up on may have a million of them, and a transaction
    that began before it was deleted may add more.
    """
    return len(transaction.execute(_GIVE_UP, {"limit": limit}).all())


def let_pass(transaction: Transaction, endpoint_id: str) -> bool:
    """Have a drainer look anew at what waits for an earlier event of its object, as the order is
    relaxed now; returns whether anything does. For who holds the endpoint.

    Of each object the first that waits is enough, as it lets go of the next. Where more than
    LET_PASS_MAX objects wait, the others are looked at within the hour.
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
