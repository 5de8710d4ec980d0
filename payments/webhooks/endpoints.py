"""Webhook endpoints: who is told, where, and of what."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, bindparam, case, func, insert, literal, select
from sqlalchemy import update as sql_update

from infra.billing.contract import endpoints as rules
from infra.billing.contract.events import TYPES
from infra.billing.contract.ids import is_id, random_id
from infra.billing.contract.limits import (
    LIMIT_MAX,
)
from infra.billing.contract.signatures import new_secret
from infra.billing.contract.texts import field_name
from models import Delivery, Event, WebhookEndpoint
from models.base import table_of
from payments.access.scopes import OPERATOR, Access
from payments.errors import InvalidRequest, NotFound
from payments.parsing import refusing
from payments.transaction import Transaction
from payments.views import moment
from payments.webhooks.events import Fact, publish
from payments.webhooks.target import TargetCheck

CHANGEABLE = ("url", "event_types", "description", "max_in_flight", "state")
# Posts to one endpoint at a time: one process of a framework answers so many without trouble.
IN_FLIGHT = 16
# A day, as Stripe and Svix have it: time for a deployment.
OVERLAP_S = 86_400


def add(
    transaction: Transaction,
    *,
    url: object,
    target_check: TargetCheck,
    event_types: object = (),
    description: object = None,
    max_in_flight: object = None,
    producer: object = None,
    access: Access = OPERATOR,
) -> RowMapping:
    """A new, enabled endpoint with a secret of its own, which is the row's `secrets[0]`.

    It is told of this producer's events; without one, of those of who makes it, or of all.

    The caller shows the secret now and never again. No event types = every type but the
    `.pending` ones. `max_in_flight` is how many webhooks may be under way there at once, 1 to
    IN_FLIGHT_MAX (1: one after the other). Raises InvalidRequest.
    """
    row = {
        "id": random_id("we_"),
        "producer": access.producer_of_endpoint(producer),
        "url": target_check.checked_url(url),
        "event_types": _event_types(event_types),
        "description": _description(description),
        "max_in_flight": _in_flight(max_in_flight),
        "secrets": [new_secret()],
    }
    return transaction.execute(_INSERT, row).mappings().one()


def view(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The public endpoint of a row; never a secret."""
    return {
        "id": row["id"],
        "object": "webhook_endpoint",
        "producer": row["producer"],
        "url": row["url"],
        "description": row["description"],
        "event_types": row["event_types"],
        "max_in_flight": row["max_in_flight"],
        "state": row["state"],
        "created_at": moment(row["created_at"]),
    }


def get(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> RowMapping:
    """The endpoint with this id. Raises NotFound, also for a deleted one, and for one that
    `access` doesn't see."""
    return _found(transaction, endpoint_id, select(_endpoints), access)


def locked(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> RowMapping:
    """As `get`, and until the transaction ends nobody else changes it or takes a turn there.

    Whoever changes its deliveries asks for this first, as a drainer's turn does: so the two never
    wait for each other in a circle.
    """
    statement = select(_endpoints).with_for_update(key_share=True)
    return _found(transaction, endpoint_id, statement, access)


def listed(
    transaction: Transaction,
    *,
    limit: int = LIMIT_MAX,
    after: str = "",
    access: Access = OPERATOR,
) -> Sequence[RowMapping]:
    """Up to `limit` endpoints in the order of their ids, from the one behind `after` on.

    Deleted ones are left out. `after` need not exist any more, so pages stay whole meanwhile.
    Raises InvalidRequest when it isn't an id at all.
    """
    if after and not is_id(after, "we_"):
        raise InvalidRequest("the cursor is none of ours", param="cursor")
    statement = (
        select(_endpoints)
        .where(_endpoints.c.id > after, _is_there, access.sees_where(_endpoints.c.producer))
        .order_by(_endpoints.c.id)
        .limit(limit)
    )
    return transaction.execute(statement).mappings().all()


def update(
    transaction: Transaction,
    endpoint_id: str,
    *,
    changes: Mapping[str, object],
    target_check: TargetCheck,
    access: Access = OPERATOR,
) -> RowMapping:
    """Change some of CHANGEABLE; what is not among the changes stays as it is.

    What waits for the endpoint goes to its new URL. Other event types count for events from now
    on. `state` does what `enable` and `disable` do. Raises InvalidRequest, NotFound.
    """
    if unknown := [field_name(name) for name in changes if name not in CHANGEABLE]:
        named = ", ".join(repr(name) if name else "one of the names sent" for name in unknown)
        raise InvalidRequest(
            f"{named} can't be changed; what can be is {', '.join(CHANGEABLE)}", param=unknown[0]
        )
    values: dict[str, Any] = {}
    if "url" in changes:
        values["url"] = target_check.checked_url(changes["url"])
    if "description" in changes:
        values["description"] = _description(changes["description"])
    if "max_in_flight" in changes:
        values["max_in_flight"] = _in_flight(changes["max_in_flight"])
    if "event_types" in changes:
        # Nobody promised it the past: see `subscribed_at`.
        values |= {"event_types": _event_types(changes["event_types"]), "subscribed_at": func.now()}
    switch = _switch(changes["state"]) if "state" in changes else get
    if values:
        _changed(transaction, endpoint_id, values, access)
    return switch(transaction, endpoint_id, access=access)


def enable(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> RowMapping:
    """Send to it again, beginning with what waited meanwhile. Raises NotFound."""
    since = case((_endpoints.c.state == "enabled", _endpoints.c.subscribed_at), else_=func.now())
    values = {"state": "enabled", "subscribed_at": since}
    endpoint = _changed(transaction, endpoint_id, values, access)
    transaction.wakes.endpoints.add(endpoint_id)
    return endpoint


def disable(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> RowMapping:
    """Send nothing to it. What waits for it stays; new events pass it by. Raises NotFound.

    The other endpoints are told of it (`endpoint.disabled`): whoever disabled it may not be the one
    who waits for its webhooks.
    """
    was = locked(transaction, endpoint_id, access=access)
    if was["state"] == "disabled":
        return was
    endpoint = _changed(transaction, endpoint_id, {"state": "disabled"}, access)
    now = next_number(transaction, endpoint_id)
    fact = Fact(
        "endpoint.disabled",
        endpoint_id,
        now["sequence"],
        view(endpoint),
        now["at"],
        endpoint["producer"],
    )
    publish(transaction, [fact])
    return endpoint


def next_number(transaction: Transaction, endpoint_id: str) -> RowMapping:
    """The `sequence` of the next event about this endpoint, and the moment `at` which it is. For
    who holds the endpoint (`locked`): two events would have one number."""
    (now,) = transaction.execute(_NUMBERED, {"endpoint_id": endpoint_id}).mappings()
    return now


def delete(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> RowMapping:
    """Be done with it: its secrets are wiped, nothing more is sent, and a sweep gives up what
    waits for it (`give_up`).

    Its row stays, because its deliveries are history. Raises NotFound.
    """
    wiped: dict[str, Any] = {
        "state": "deleted",
        "deleted_at": func.now(),
        "secrets": [],
        "older_secrets_until": None,
    }
    return _changed(transaction, endpoint_id, wiped, access)


def give_up(transaction: Transaction, *, limit: int) -> int:
    """Be done with up to `limit` deliveries that wait for deleted endpoints; returns how many.

    For the sweep: an endpoint that is given up on may have a million of them, and a transaction
    that began before it was deleted may add more.
    """
    return len(transaction.execute(_GIVE_UP, {"limit": limit}).all())


def rotate_secret(
    transaction: Transaction,
    endpoint_id: str,
    *,
    overlap_s: object = OVERLAP_S,
    access: Access = OPERATOR,
) -> RowMapping:
    """A new secret, which is the row's `secrets[0]`; it is shown now and never again.

    For `overlap_s` seconds (0 = not at all, at most a week) the one before signs, too, so that a
    receiver can go over to the new one at leisure. Older ones sign no more. Raises
    InvalidRequest, NotFound.
    """
    seconds = refusing(rules.overlap_s, overlap_s)
    older = locked(transaction, endpoint_id, access=access)["secrets"][:1] if seconds else []
    until = func.now() + timedelta(seconds=seconds) if seconds else None
    values = {"secrets": [new_secret(), *older], "older_secrets_until": until}
    return _changed(transaction, endpoint_id, values, access)


def _changed(
    transaction: Transaction, endpoint_id: str, values: Mapping[str, Any], access: Access
) -> RowMapping:
    statement = sql_update(_endpoints).values(**values).returning(_endpoints)
    return _found(transaction, endpoint_id, statement, access)


def _found(
    transaction: Transaction, endpoint_id: str, statement: Any, access: Access
) -> RowMapping:
    # What isn't written as an id is none, and perhaps nothing that a database could be asked for.
    if is_id(endpoint_id, "we_"):
        statement = statement.where(
            _endpoints.c.id == endpoint_id,
            _is_there,
            access.sees_where(_endpoints.c.producer),
        )
        row = transaction.execute(statement).mappings().first()
        if row is not None:
            return row
    raise NotFound("There is no webhook endpoint with this id.", param="endpoint_id")


def _switch(state: object) -> Callable[..., RowMapping]:
    if state == "enabled":
        return enable
    if state == "disabled":
        return disable
    raise InvalidRequest("state must be 'enabled' or 'disabled'", param="state")


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
    return None if value is None else refusing(rules.description, value)


def _in_flight(value: object) -> int:
    return IN_FLIGHT if value is None else refusing(rules.max_in_flight, value)


_endpoints, _deliveries, _events = (table_of(t) for t in (WebhookEndpoint, Delivery, Event))
_is_there = _endpoints.c.state != "deleted"
_INSERT = insert(_endpoints).returning(_endpoints)
_NUMBERED = select(
    (func.coalesce(func.max(_events.c.sequence), 0) + 1).label("sequence"), func.now().label("at")
).where(_events.c.object_id == bindparam("endpoint_id"))
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
    sql_update(_deliveries)
    .where(_deliveries.c.id.in_(select(_waiting.c.id)))
    .values(state="exhausted", next_attempt_at=None, finished_at=func.now())
    .returning(_deliveries.c.id)
)
