"""What an agent may ask: the reading commands, with the same views."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from cli import database_access, options
from cli.agent.door.bounded import LIMIT, LIMIT_MAX, findings, some

Answer = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX, description="How many at most.")]
Producer = Annotated[
    str | None, Field(description="Only what this producer asked for; of all without it.")
]
Moment = Annotated[
    str | None, Field(description="2026-11-22 or 2026-11-22T10:00:00Z, in UTC unless it says.")
]
State = Annotated[str | None, Field(description="pending, succeeded or failed.")]
Phase = Annotated[
    str | None,
    Field(description="Of pending ones: queued, in_flight, unknown, needs_review, …"),
]


def find(
    wanted: Annotated[
        str,
        Field(
            description="An id of any kind, an idempotency key, a reference, a customer, the"
            " processor's reference, the id of a request; an amount (19.99 EUR, 1999); metadata"
            " (name:value, or words of values)."
        ),
    ],
    producer: Producer = None,
    limit: Limit = LIMIT,
) -> Answer:
    """Find whatever a text names, newest first: charges, refunds, endpoints, prices, and so on."""
    from payments.access.scopes import OPERATOR, READ, Access
    from payments.history import search

    access = OPERATOR if producer is None else Access(producer, frozenset({READ}))
    with database_access.reading() as connection:
        return some(map(search.view, search.every(connection, wanted, access=access)), limit)


def explain(
    id_or_key: Annotated[str, Field(description="Whatever `find` finds.")],
    producer: Producer = None,
    limit: Annotated[
        int, Field(ge=1, le=10 * LIMIT_MAX, description="How many entries at most.")
    ] = 200,
) -> Answer:
    """Tell everything that happened to a payment, a price, an endpoint or a key, in order:
    requests, attempts, money, events, webhooks and refusals."""
    from payments.history.timeline import timeline

    statements = database_access.statements()
    with database_access.reading(snapshot=True) as connection:
        entries = timeline(connection, id_or_key, producer=producer, statements=statements)
    return some((entry.view() for entry in entries), limit)


def verify() -> Answer:
    """Hold every promise against the database and the statements of processors, right now. Changes
    nothing, and may take minutes where the books are long."""
    from payments.audit import verify as checks
    from service.database.database_limits import BOOKS

    with database_access.opened(limits=BOOKS) as engine:
        found = [*checks.verify(engine, statements=database_access.statements())]
    result = findings((one.view() for one in found), lambda view: view["kept"])
    return {"sound": checks.is_sound(found), **result}


def doctor() -> Answer:
    """Look at everything that must work, for up to ten seconds: settings, database, broker,
    workers, processors, receivers, and the work that waits; with what to do about it."""
    from cli.doctor.findings import is_healthy
    from cli.operating.doctor import examined

    found = examined()
    result = findings((one.view() for one in found), lambda view: view["level"] == "ok")
    return {"healthy": is_healthy(found), **result}


def list_charges(
    state: State = None,
    phase: Phase = None,
    customer: Annotated[str | None, Field(description="Those of this customer.")] = None,
    reference: Annotated[str | None, Field(description="Those for this order id.")] = None,
    price: Annotated[str | None, Field(description="Those by this price or lookup key.")] = None,
    created_after: Moment = None,
    created_before: Moment = None,
    limit: Limit = LIMIT,
) -> Answer:
    """List charges, newest first."""
    filters = {"customer_id": customer, "reference": reference, "price_id": price}
    times = _times(created_after=created_after, created_before=created_before)
    return _payments("charge", {"state": state, "phase": phase, **filters, **times}, limit)


def list_refunds(
    state: State = None,
    phase: Phase = None,
    charge: Annotated[str | None, Field(description="Those of this charge (ch_…).")] = None,
    created_after: Moment = None,
    created_before: Moment = None,
    limit: Limit = LIMIT,
) -> Answer:
    """List refunds, newest first."""
    times = _times(created_after=created_after, created_before=created_before)
    return _payments(
        "refund", {"state": state, "phase": phase, "charge_id": charge, **times}, limit
    )


def list_disputes(
    state: Annotated[
        str | None, Field(description="needs_response, under_review, won, lost, …")
    ] = None,
    charge: Annotated[str | None, Field(description="Those of this charge (ch_…).")] = None,
    limit: Limit = LIMIT,
) -> Answer:
    """List disputes, newest first. They are answered at the processor."""
    from payments.disputes import lookup
    from payments.views import dispute_view

    with database_access.reading() as connection:
        found = lookup.every(connection, filters={"state": state, "charge_id": charge})
        return some(map(dispute_view, found), limit)


def list_endpoints(limit: Limit = LIMIT) -> Answer:
    """List the receivers of webhooks, how they do, and why one is held back; without secrets."""
    from cli.webhooks import endpoint_commands

    return some(endpoint_commands.every(), limit)


def list_deliveries(
    endpoint_id: Annotated[str, Field(description="we_…, of `list_endpoints`.")],
    state: Annotated[str | None, Field(description="pending, delivered or exhausted.")] = None,
    event_type: Annotated[str | None, Field(description="Such as charge.succeeded.")] = None,
    event_id: Annotated[str | None, Field(description="That of this event (evt_…).")] = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = LIMIT,
) -> Answer:
    """List the deliveries of webhooks to an endpoint, newest first."""
    from payments.webhooks.records import delivery_queries

    asked = {"state": state, "event_type": event_type, "event_id": event_id}
    with database_access.reading() as connection:
        filters = {**asked, **_times(since=since, until=until)}
        found = delivery_queries.every(connection, endpoint_id, filters=filters)
        return some(map(delivery_queries.view, found), limit)


def _payments(kind: Any, filters: Mapping[str, Any], limit: int) -> Answer:
    from cli.payments import payment_requests

    with payment_requests.listed(kind, filters) as views:
        return some(views, limit)


def _times(**typed: str | None) -> dict[str, Any]:
    return {name: None if said is None else options.moment(said) for name, said in typed.items()}


TOOLS: Sequence[Callable[..., Answer]] = (
    find,
    explain,
    verify,
    doctor,
    list_charges,
    list_refunds,
    list_disputes,
    list_endpoints,
    list_deliveries,
)
# They look beyond our own database: at processors' statements, the broker, receivers.
ASK_OTHERS = frozenset({explain, verify, doctor})
