"""Webhook endpoints: who is notified, where, and of which events."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, case, func, insert, select, text
from sqlalchemy import update as sql_update
from sqlalchemy.sql.dml import ReturningUpdate

from infra.billing.contract import endpoint_checks as rules
from infra.billing.contract.ids import is_id, random_id
from infra.billing.contract.limits import LIMIT_MAX, OVERLAP_S
from infra.billing.contract.objects import Endpoint
from infra.billing.contract.requests.endpoint_request import (
    UNSETTABLE,
    EndpointSettings,
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from infra.billing.contract.signatures import new_secret
from infra.billing.contract.texts import field_name
from models import Event, WebhookEndpoint
from models.base import table_of
from models.rows import EndpointRow
from payments.access import audit_log
from payments.access.scopes import OPERATOR, Access
from payments.access.vault import Vault
from payments.parsing import parse, refusing
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import Transaction
from payments.views import moment, view_of
from payments.webhooks import headers, leftovers
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.pacing.troubles import AFRESH
from payments.webhooks.records import endpoint_health as health
from payments.webhooks.sealed import seal_credentials, seal_headers, seal_secret
from payments.webhooks.target import TargetCheck, is_same_host

CHANGEABLE = tuple(WebhookEndpointChanges.model_fields)

# The public endpoint of a row; never a secret.
view = view_of(Endpoint, headers=headers.shown, health=health.of)


def add(
    transaction: Transaction,
    *,
    target_check: TargetCheck,
    vault: Vault,
    access: Access = OPERATOR,
    **fields: object,
) -> tuple[EndpointRow, str]:
    """A new, enabled endpoint, and its secret, which is shown only now.

    `fields` are those of a WebhookEndpointRequest. It gets this producer's events; if none is
    given, those of the caller's producer, or all. Raises InvalidRequest.
    """
    asked = parse(WebhookEndpointRequest, fields)
    aim = target_check.checked(asked.url)
    id_, secret = random_id("we_"), new_secret()
    row = {
        "id": id_,
        "producer": access.producer_of_endpoint(asked.producer),
        "secrets": [seal_secret(vault, id_, secret)],
        **_columns(asked),
        "url": aim.url,
        "url_credentials": seal_credentials(vault, id_, aim.credentials),
        **headers.columns_of(seal_headers(vault, id_, asked.headers)),
    }
    (made,) = transaction.read(EndpointRow, insert(_endpoints).returning(*health.ENDPOINT), row)
    audit_log.record(transaction, "endpoint.create", id_, after=view(made))
    return made, secret


def get(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """The endpoint with this id. Raises NotFound, also for one that is deleted or that `access`
    doesn't see."""
    return _found(transaction, endpoint_id, select(*health.ENDPOINT), access)


def locked(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """Like `get`, and locked until the transaction ends: no one else changes it or drains it.

    Lock it before changing its deliveries, as a drainer's batch does, to avoid deadlocks.
    """
    statement = select(*health.ENDPOINT).with_for_update(key_share=True)
    return _found(transaction, endpoint_id, statement, access)


def listed(
    transaction: Transaction,
    *,
    limit: int = LIMIT_MAX,
    after: str = "",
    access: Access = OPERATOR,
) -> list[EndpointRow]:
    """Up to `limit` endpoints in the order of their ids, after the id `after`.

    Deleted ones are left out. `after` need not exist any more, so paging works while endpoints are
    deleted. Raises InvalidRequest if it isn't an id at all.
    """
    if after and not is_id(after, "we_"):
        raise InvalidRequest("the cursor is not one that this API returned", param="cursor")
    statement = (
        select(*health.ENDPOINT)
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
    vault: Vault,
    access: Access = OPERATOR,
) -> EndpointRow:
    """Change some of CHANGEABLE; fields that are absent stay as they are, and None resets a field
    to its default.

    What waits for the endpoint goes to its new URL, and in its new order: if that is `relaxed`,
    deliveries that wait for an earlier event are checked again. New event types apply to events
    from now on. `state` does what `enable` and `disable` do. Raises InvalidRequest, NotFound.
    """
    if unknown := [field_name(name) for name in changes if name not in CHANGEABLE]:
        named = ", ".join(repr(name) if name else "one of the names sent" for name in unknown)
        raise InvalidRequest(
            f"{named} can't be changed; what can be is {', '.join(CHANGEABLE)}", param=unknown[0]
        )
    unset = {name for name in UNSETTABLE if changes.get(name, ...) is None}
    said = {name: value for name, value in changes.items() if name not in unset}
    asked = parse(WebhookEndpointChanges, said)
    values = dict.fromkeys(unset - {"headers"}, _DEFAULT) | _columns(asked)
    aim = target_check.checked(asked.url) if "url" in said else None
    there = locked(transaction, endpoint_id, access=access)
    if said.keys() & {"url", "headers"}:
        if "headers" not in unset:
            values |= headers.changed(there, asked.headers, vault=vault, url=aim and aim.url)
        if aim is not None:
            values |= {"url": aim.url, **AFRESH}
            if aim.credentials is not None or not is_same_host(there.url, aim.url):
                sealed = seal_credentials(vault, endpoint_id, aim.credentials)
                values["url_credentials"] = sealed
    if "headers" in unset:
        values |= headers.columns_of({})
    if "event_types" in values:
        # It has no claim to past events: see `subscribed_at`.
        values["subscribed_at"] = func.now()
    switch = get if "state" not in said else enable if asked.state == "enabled" else disable
    if values:
        _record(transaction, "update", there, _changed(transaction, endpoint_id, values, access))
    is_relaxed = "ordered" in changes and asked.ordered == "relaxed"
    if is_relaxed and leftovers.let_pass(transaction, endpoint_id):
        transaction.wakes.endpoints.add(endpoint_id)
    return switch(transaction, endpoint_id, access=access)


def enable(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """Send to it again, beginning with what has waited. Raises NotFound."""
    since = case((_endpoints.c.state == "enabled", _endpoints.c.subscribed_at), else_=func.now())
    values = {"state": "enabled", "disabled_because": None, "subscribed_at": since, **AFRESH}
    was = locked(transaction, endpoint_id, access=access)
    endpoint = _changed(transaction, endpoint_id, values, access)
    _record(transaction, "enable", was, endpoint)
    transaction.wakes.endpoints.add(endpoint_id)
    return endpoint


def disable(
    transaction: Transaction,
    endpoint_id: str,
    *,
    because: str | None = None,
    access: Access = OPERATOR,
) -> EndpointRow:
    """Send nothing to it. What waits for it stays; new events don't reach it. Raises NotFound.

    The other endpoints get `endpoint.disabled`: the person who disabled it may not be the one who
    waits for its webhooks. `because` gives the reason if no person did.
    """
    was = locked(transaction, endpoint_id, access=access)
    if was.state == "disabled":
        return was
    values = {"state": "disabled", "disabled_because": because}
    endpoint = _changed(transaction, endpoint_id, values, access)
    _record(transaction, "disable", was, endpoint, because=because or "")
    tell(transaction, "endpoint.disabled", endpoint_id)
    return endpoint


def tell(transaction: Transaction, event_type: str, endpoint_id: str) -> None:
    """Publish the present state of an endpoint to the others. The caller has locked it
    (`locked`)."""
    endpoint = get(transaction, endpoint_id)
    number, at = next_number(transaction, endpoint_id)
    fact = Fact(event_type, endpoint_id, number, view(endpoint), at, endpoint.producer)
    publish(transaction, [fact])


def next_number(transaction: Transaction, endpoint_id: str) -> tuple[int, datetime]:
    """The `sequence` of the next event about this endpoint, and the present moment. The caller has
    locked it (`locked`); two events would have the same number otherwise."""
    numbered = transaction.read(tuple[int, datetime], _NUMBERED, {"endpoint_id": endpoint_id})
    return numbered[0]


def delete(transaction: Transaction, endpoint_id: str, *, access: Access = OPERATOR) -> EndpointRow:
    """Delete it: its secrets and headers are wiped, nothing more is sent, and a sweep gives up what
    waits for it (`payments.webhooks.leftovers`).

    Its row stays, because its deliveries are history. Raises NotFound.
    """
    wiped: dict[str, Any] = {
        "state": "deleted",
        "deleted_at": func.now(),
        "secrets": [],
        "url_credentials": None,
        "header_names": [],
        "header_values": [],
        "older_secrets_until": None,
    }
    was = locked(transaction, endpoint_id, access=access)
    _record(transaction, "delete", was, now := _changed(transaction, endpoint_id, wiped, access))
    return now


def rotate_secret(
    transaction: Transaction,
    endpoint_id: str,
    *,
    vault: Vault,
    overlap_s: object = OVERLAP_S,
    access: Access = OPERATOR,
) -> tuple[EndpointRow, str]:
    """A new secret: the endpoint's row, and the secret, which is shown only now.

    For `overlap_s` seconds (0 = not at all, at most a week) the previous secret signs, too, so that
    a receiver has time to switch. Older ones no longer sign. Raises InvalidRequest, NotFound.
    """
    seconds = refusing(rules.overlap_s, overlap_s)
    older = locked(transaction, endpoint_id, access=access).secrets[:1] if seconds else []
    until = func.now() + timedelta(seconds=seconds) if seconds else None
    secret = new_secret()
    secrets = [seal_secret(vault, endpoint_id, secret), *older]
    values = {"secrets": secrets, "older_secrets_until": until}
    changed = _changed(transaction, endpoint_id, values, access)
    after = {"older_secrets_until": moment(changed.older_secrets_until)}
    audit_log.record(transaction, "endpoint.rotate_secret", endpoint_id, after=after)
    return changed, secret


def _record(transaction: Transaction, verb: str, *rows: EndpointRow, because: str = "") -> None:
    audit_log.record_change(transaction, f"endpoint.{verb}", *map(view, rows), because=because)


def _changed(
    transaction: Transaction, endpoint_id: str, values: Mapping[str, Any], access: Access
) -> EndpointRow:
    statement = sql_update(_endpoints).values(**values).returning(*health.ENDPOINT)
    return _found(transaction, endpoint_id, statement, access)


def _found(
    transaction: Transaction,
    endpoint_id: str,
    statement: Select[Any] | ReturningUpdate[Any],
    access: Access,
) -> EndpointRow:
    # What doesn't have the form of an id can't exist, and may not even be storable as text.
    if is_id(endpoint_id, "we_"):
        statement = statement.where(
            _endpoints.c.id == endpoint_id,
            _is_there,
            access.sees_where(_endpoints.c.producer),
        )
        if rows := transaction.read(EndpointRow, statement):
            return rows[0]
    raise NotFound("There is no webhook endpoint with this id.", param="endpoint_id")


def _columns(asked: EndpointSettings) -> dict[str, Any]:
    """The columns of its settings, except for headers and URL."""
    said = (asked.model_fields_set & EndpointSettings.model_fields.keys()) - {"headers", "url"}
    return {name: getattr(asked, name) for name in said}


_endpoints, _events = table_of(WebhookEndpoint), table_of(Event)
_is_there = _endpoints.c.state != "deleted"
# Of a column, whatever that is.
_DEFAULT = text("DEFAULT")
_NUMBERED = select(
    (func.coalesce(func.max(_events.c.sequence), 0) + 1).label("sequence"), func.now().label("at")
).where(_events.c.object_id == bindparam("endpoint_id"))
