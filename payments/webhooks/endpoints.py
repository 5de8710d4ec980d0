"""Webhook endpoints: who is told, where, and of what."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, case, func, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.sql.dml import ReturningUpdate

from infra.billing.contract import endpoints as rules
from infra.billing.contract.events import TYPES
from infra.billing.contract.ids import is_id, random_id
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.objects import Endpoint
from infra.billing.contract.signatures import new_secret
from infra.billing.contract.texts import field_name
from models import Event, WebhookEndpoint
from models.base import table_of
from models.rows import EndpointRow
from payments.access.scopes import OPERATOR, Access
from payments.errors import InvalidRequest, NotFound
from payments.parsing import refusing
from payments.transaction import Transaction
from payments.views import view_of
from payments.webhooks.events import Fact, publish
from payments.webhooks.target import TargetCheck

CHANGEABLE = ("url", "event_types", "description", "max_in_flight", "state")
# Posts to one endpoint at a time: one process of a framework answers so many without trouble.
IN_FLIGHT = 16
# A day, as Stripe and Svix have it: time for a deployment.
OVERLAP_S = 86_400

# The public endpoint of a row; never a secret.
view = view_of(Endpoint)


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
) -> EndpointRow:
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
    (made,) = transaction.read(EndpointRow, _INSERT, row)
    return made


def get(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """The endpoint with this id. Raises NotFound, also for a deleted one, and for one that
    `access` doesn't see."""
    return _found(transaction, endpoint_id, select(_endpoints), access)


def locked(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
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
) -> list[EndpointRow]:
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
    return transaction.read(EndpointRow, statement)


def update(
    transaction: Transaction,
    endpoint_id: str,
    *,
    changes: Mapping[str, object],
    target_check: TargetCheck,
    access: Access = OPERATOR,
) -> EndpointRow:
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


def enable(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """Send to it again, beginning with what waited meanwhile. Raises NotFound."""
    since = case((_endpoints.c.state == "enabled", _endpoints.c.subscribed_at), else_=func.now())
    values = {"state": "enabled", "subscribed_at": since}
    endpoint = _changed(transaction, endpoint_id, values, access)
    transaction.wakes.endpoints.add(endpoint_id)
    return endpoint


def disable(
    transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR
) -> EndpointRow:
    """Send nothing to it. What waits for it stays; new events pass it by. Raises NotFound.

    The other endpoints are told of it (`endpoint.disabled`): whoever disabled it may not be the one
    who waits for its webhooks.
    """
    was = locked(transaction, endpoint_id, access=access)
    if was.state == "disabled":
        return was
    endpoint = _changed(transaction, endpoint_id, {"state": "disabled"}, access)
    number, at = next_number(transaction, endpoint_id)
    whose = endpoint.producer
    fact = Fact("endpoint.disabled", endpoint_id, number, view(endpoint), at, whose)
    publish(transaction, [fact])
    return endpoint


def next_number(transaction: Transaction, endpoint_id: str) -> tuple[int, datetime]:
    """The `sequence` of the next event about this endpoint, and the moment at which it is. For
    who holds the endpoint (`locked`): two events would have one number."""
    numbered = transaction.read(tuple[int, datetime], _NUMBERED, {"endpoint_id": endpoint_id})
    return numbered[0]


def delete(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """Be done with it: its secrets are wiped, nothing more is sent, and a sweep gives up what
    waits for it (`payments.webhooks.leftovers`).

    Its row stays, because its deliveries are history. Raises NotFound.
    """
    wiped: dict[str, Any] = {
        "state": "deleted",
        "deleted_at": func.now(),
        "secrets": [],
        "older_secrets_until": None,
    }
    return _changed(transaction, endpoint_id, wiped, access)


def rotate_secret(
    transaction: Transaction,
    endpoint_id: str,
    *,
    overlap_s: object = OVERLAP_S,
    access: Access = OPERATOR,
) -> EndpointRow:
    """A new secret, which is the row's `secrets[0]`; it is shown now and never again.

    For `overlap_s` seconds (0 = not at all, at most a week) the one before signs, too, so that a
    receiver can go over to the new one at leisure. Older ones sign no more. Raises
    InvalidRequest, NotFound.
    """
    seconds = refusing(rules.overlap_s, overlap_s)
    older = locked(transaction, endpoint_id, access=access).secrets[:1] if seconds else []
    until = func.now() + timedelta(seconds=seconds) if seconds else None
    values = {"secrets": [new_secret(), *older], "older_secrets_until": until}
    return _changed(transaction, endpoint_id, values, access)


def _changed(
    transaction: Transaction, endpoint_id: str, values: Mapping[str, Any], access: Access
) -> EndpointRow:
    statement = sql_update(_endpoints).values(**values).returning(_endpoints)
    return _found(transaction, endpoint_id, statement, access)


def _found(
    transaction: Transaction,
    endpoint_id: str,
    statement: Select[Any] | ReturningUpdate[Any],
    access: Access,
) -> EndpointRow:
    # What isn't written as an id is none, and perhaps nothing that a database could be asked for.
    if is_id(endpoint_id, "we_"):
        statement = statement.where(
            _endpoints.c.id == endpoint_id,
            _is_there,
            access.sees_where(_endpoints.c.producer),
        )
        if rows := transaction.read(EndpointRow, statement):
            return rows[0]
    raise NotFound("There is no webhook endpoint with this id.", param="endpoint_id")


def _switch(state: object) -> Callable[..., EndpointRow]:
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


_endpoints, _events = table_of(WebhookEndpoint), table_of(Event)
_is_there = _endpoints.c.state != "deleted"
_INSERT = insert(_endpoints).returning(_endpoints)
_NUMBERED = select(
    (func.coalesce(func.max(_events.c.sequence), 0) + 1).label("sequence"), func.now().label("at")
).where(_events.c.object_id == bindparam("endpoint_id"))
