"""Webhook endpoints: who is told, where, and of what."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update

from models import WebhookEndpoint
from models.base import table_of
from models.ids import random_id
from payments.errors import InvalidRequest, NotFound
from payments.transaction import Transaction
from payments.webhooks.events import TYPES
from payments.webhooks.signature import new_secret
from payments.webhooks.target import TargetCheck

DESCRIPTION_LENGTH_MAX = 500
PAGE_MAX = 100


def add(
    transaction: Transaction,
    *,
    url: object,
    target_check: TargetCheck,
    event_types: object = (),
    description: object = None,
) -> RowMapping:
    """A new, enabled endpoint with a secret of its own, which is the row's `secrets[0]`.

    The caller shows the secret now and never again. No event types = every type but the
    `.pending` ones. Raises InvalidRequest.
    """
    row = {
        "id": random_id("we_"),
        "url": target_check.checked_url(url),
        "event_types": _event_types(event_types),
        "description": _description(description),
        "secrets": [new_secret()],
    }
    return transaction.execute(_INSERT, row).mappings().one()


def get(transaction: Transaction, endpoint_id: str) -> RowMapping:
    """The endpoint with this id. Raises NotFound."""
    return _found(transaction, select(_endpoints).where(_endpoints.c.id == endpoint_id))


def listed(
    transaction: Transaction, *, limit: int = PAGE_MAX, after: str = ""
) -> Sequence[RowMapping]:
    """Up to `limit` endpoints in the order of their ids, from the one behind `after` on."""
    statement = (
        select(_endpoints)
        .where(_endpoints.c.id > after)
        .order_by(_endpoints.c.id)
        .limit(min(limit, PAGE_MAX))
    )
    return transaction.execute(statement).mappings().all()


def enable(transaction: Transaction, endpoint_id: str) -> RowMapping:
    """Send to it again, beginning with what waited meanwhile. Raises NotFound."""
    endpoint = _set_state(transaction, endpoint_id, "enabled", subscribed_at=func.now())
    transaction.wakes.endpoints.add(endpoint_id)
    return endpoint


def disable(transaction: Transaction, endpoint_id: str) -> RowMapping:
    """Send nothing to it. What waits for it stays; new events pass it by. Raises NotFound."""
    return _set_state(transaction, endpoint_id, "disabled")


def _set_state(transaction: Transaction, endpoint_id: str, state: str, **values: Any) -> RowMapping:
    statement = update(_endpoints).where(_endpoints.c.id == endpoint_id)
    statement = statement.values(state=state, **values)
    return _found(transaction, statement.returning(_endpoints))


def _found(transaction: Transaction, statement: Any) -> RowMapping:
    row = transaction.execute(statement).mappings().first()
    if row is None:
        raise NotFound("There is no webhook endpoint with this id.", param="endpoint_id")
    return row


def _event_types(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequest(
            'event_types must be a list of types, like ["charge.succeeded"]',
            param="event_types",
        )
    for one in value:
        if one not in TYPES:
            raise InvalidRequest(
                f"event_types: {str(one)[:80]!r} is not an event type; send some of"
                f" {', '.join(TYPES)}, or none for all but the .pending ones",
                param="event_types",
            )
    return list(dict.fromkeys(value))


def _description(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > DESCRIPTION_LENGTH_MAX or "\x00" in value:
        raise InvalidRequest(
            f"description must be a text of at most {DESCRIPTION_LENGTH_MAX} characters",
            param="description",
        )
    return value


_endpoints = table_of(WebhookEndpoint)
_INSERT = insert(_endpoints).returning(_endpoints)
