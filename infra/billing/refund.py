"""Refunds: `billing.refund.create(…)`, `create_many`, `get`, `list`, `wait`, `timeline`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from infra.billing import arguments
from infra.billing.calls import bulk
from infra.billing.calls.bulk import Bulk
from infra.billing.calls.described import Ask, Call, Create, Get, ListCall, entries
from infra.billing.contract.objects import Refund, TimelineEntry
from infra.billing.verbs import many, paged, verb


@verb
def create(
    *,
    charge_id: str,
    amount: int | None = None,
    idempotency_key: str | None = None,
    reason: str | None = None,
    if_pending: str | None = None,
    if_missing: str | None = None,
    expected_refunded_amount: int | None = None,
    restock: bool | None = None,
    restock_quantity: int | None = None,
    metadata: Mapping[str, str] | None = None,
    wait_s: float | None = None,
    **newer: Any,
) -> Call[Refund]:
    """Refund `amount` minor units of a charge, or all that is left of it, once per key.

    `if_pending` says what happens while the charge is pending: "wait" for it (the default), or
    "reject"; `if_missing` what happens while there is no such charge: over HTTP "reject" by default
    ("wait" if its message may still be on its way), over a broker "wait". With
    `expected_refunded_amount`, the refund is refused unless exactly that much of the charge is
    refunded or being refunded: the sum of its `refunded_amount` and `refund_pending_amount`.
    With `restock`, units of a charge by price are for sale again when the refund succeeds:
    `restock_quantity` of them, which is required with an amount, or all that are still out. Over
    HTTP, `wait_s` waits up to that many seconds for it to be final. `newer` are fields that the
    service knows, but this SDK has no argument for yet.
    Raises InvalidRequest, Unavailable, NotConfigured; over HTTP also other refusals of the service,
    such as NotFound, RefundExceedsCharge and NothingToRestock.
    """
    fields = arguments.given(
        charge_id=charge_id,
        amount=amount,
        idempotency_key=arguments.key(idempotency_key),
        reason=reason,
        if_pending=if_pending,
        if_missing=if_missing,
        expected_refunded_amount=expected_refunded_amount,
        restock=restock,
        restock_quantity=restock_quantity,
        metadata=metadata,
        **newer,
    )
    wait_s = arguments.wait_s(wait_s)
    return Call(Create("refund", fields, wait_s), Refund)


@many
def create_many(
    refunds: Iterable[Mapping[str, Any]],
    *,
    batch: int = bulk.BATCH,
    progress: bulk.Progress | None = None,
) -> Bulk[Refund]:
    """Request many refunds; yields for each, in order, its Refund or its BillingError.

    Like `charge.create_many`: mappings with the arguments of `create`, read a `batch` at a time,
    and nothing is sent before you iterate.
    """
    return Bulk(
        "refund",
        refunds,
        result=Refund,
        batch=batch,
        progress=progress,
    )


@verb
def get(id: str) -> Call[Refund]:
    """The refund with this id, as it stands. Raises NotFound; ReadingNeedsHttp over a broker."""
    return Call(Get("refund", arguments.id_of(id)), Refund)


@verb
def wait(id: str, *, timeout_s: float = 30.0) -> Call[Refund]:
    """The refund as soon as it is final, or as it stands after `timeout_s`.

    Raises NotFound; ReadingNeedsHttp over a broker.
    """
    wait_s = arguments.seconds("timeout_s", timeout_s)
    return Call(Get("refund", arguments.id_of(id), wait_s), Refund)


@paged
def list(
    *,
    state: str | None = None,
    phase: str | None = None,
    charge_id: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[Refund]:
    """A page of refunds, newest first; `.auto_paging_iter()` goes through all of them.

    `created_after` and `created_before` are datetimes with a zone, or RFC 3339; `limit` is at most
    100. Raises ReadingNeedsHttp over a broker.
    """
    query = arguments.given(
        state=state,
        phase=phase,
        charge_id=charge_id,
        created_after=created_after,
        created_before=created_before,
        limit=limit,
        cursor=cursor,
    )
    return ListCall(("refunds",), query, Refund)


@verb
def timeline(id: str) -> Call[Sequence[TimelineEntry]]:
    """Everything that happened to a refund, in order: `at`, `what`, `object_id`, `text`, and facts.

    Raises NotFound; ReadingNeedsHttp over a broker.
    """
    path = ("refunds", arguments.id_of(id), "timeline")
    return Call(Ask("GET", path), lambda told: [TimelineEntry(one) for one in entries(told)])
