"""Endpoints that are disabled automatically, and the warning before that: others are notified."""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, or_, select, update

from models import WebhookEndpoint
from models.base import table_of
from payments.transaction import Transaction
from payments.webhooks import endpoints
from payments.webhooks.pacing import breaker


class _Failing(NamedTuple):
    id: str
    disabled_because: str | None


def disable_or_warn(transaction: Transaction, *, limit: int) -> int:
    """Disable up to `limit` endpoints that answered 410, or accepted nothing for DISABLED_AFTER_S
    while a webhook used up all its attempts; warn of those that may be next. Returns how many.

    For the sweep. Their deliveries stay, and are sent once a person enables them.
    """
    found = transaction.read(_Failing, _FAILING, {"limit": limit})
    for one in found:
        if one.disabled_because is not None:
            endpoints.disable(transaction, one.id, because=one.disabled_because)
        else:
            transaction.execute(_WARNED, {"endpoint_id": one.id})
            endpoints.tell(transaction, "endpoint.failing", one.id)
    return len(found)


# --- The statements, built once ---

_endpoints = table_of(WebhookEndpoint)


def _failing_for(seconds: float) -> Any:
    return _endpoints.c.failing_since < func.now() - timedelta(seconds=seconds)


_is_gone = _endpoints.c.held_back_because == "gone"
_is_given_up = and_(_failing_for(breaker.DISABLED_AFTER_S), _endpoints.c.has_given_up)
_is_to_be_told = and_(_failing_for(breaker.WARNED_AFTER_S), _endpoints.c.warned_at.is_(None))
_failing = select(
    _endpoints.c.id,
    case((_is_gone, "gone"), (_is_given_up, "failing")).label("disabled_because"),
).where(_endpoints.c.state == "enabled", or_(_is_gone, _is_given_up, _is_to_be_told))
# Whether `disable_or_warn` would find any.
ANY_FAILING = _failing.exists()
_FAILING = (
    _failing.order_by(_endpoints.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)
_WARNED = (
    update(_endpoints)
    .where(_endpoints.c.id == bindparam("endpoint_id"))
    .values(warned_at=func.now())
)
