"""Charges: `billing.charge.create(…)`, `create_many`, `capture`, `cancel`, `get`, `list`, …"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from infra.billing import arguments
from infra.billing.calls import bulk
from infra.billing.calls.bulk import Bulk
from infra.billing.calls.described import Ask, Call, Change, Create, Get, ListCall, entries
from infra.billing.contract.objects import Charge, TimelineEntry
from infra.billing.verbs import many, paged, verb


@verb
def create(
    *,
    amount: int | None = None,
    currency: str | None = None,
    price_id: str | None = None,
    quantity: int | None = None,
    expected_amount: int | None = None,
    customer_id: str | None = None,
    payment_method_id: str | None = None,
    idempotency_key: str | None = None,
    reference: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    scheduled_at: datetime | str | None = None,
    expires_in_s: int | None = None,
    capture: str | None = None,
    return_url: str | None = None,
    statement_descriptor: str | None = None,
    receipt_email: str | None = None,
    wait_s: float | None = None,
    **newer: Any,
) -> Call[Charge]:
    """Take `amount` minor units of `currency` (ISO 4217), once per `idempotency_key`.

    Or send a `price_id`, which may be the price's lookup key, and a `quantity`: the charge takes
    what that many units cost. They are reserved for the charge, sold when it succeeds, and for sale
    again when it fails. The charge's `lines` say how its amount was computed. With
    `expected_amount`, it is refused unless the amount is exactly that, as a lookup key may move
    after you quoted.
    The answer comes at once: the pending charge, with the id that every repeat under this key has.
    Over HTTP a repeat returns the charge as it stands, and `wait_s` waits up to that many seconds
    for it to be final. Without a key one is created, which protects this call but not a retry of
    yours.
    `reference` is your own order id: at most one charge per reference is pending or succeeded.
    `scheduled_at` is when to take the money, up to a year ahead: a datetime with a zone, or RFC
    3339. `expires_in_s`: it is canceled if it has not succeeded within this many seconds.
    `capture="manual"` only authorizes the money, until the charge is captured (`capture`).
    `return_url` says that the customer is present: if their bank must authenticate them, the charge
    waits with a `next_action`, whose `url` is where to send them; afterwards they return to that
    page. `statement_descriptor` is the text on their bank statement, and `receipt_email` where the
    processor sends a receipt. `newer` are fields that the service knows, but this SDK has no
    argument for yet.
    Raises InvalidRequest, Unavailable, NotConfigured; over HTTP also other refusals of the service,
    such as KeyReused, ReferenceInUse, PriceInactive, UnexpectedAmount and InsufficientInventory.
    """
    fields = arguments.given(
        amount=amount,
        currency=currency,
        price_id=price_id,
        quantity=quantity,
        expected_amount=expected_amount,
        customer_id=customer_id,
        payment_method_id=payment_method_id,
        idempotency_key=arguments.key(idempotency_key),
        reference=reference,
        description=description,
        metadata=metadata,
        scheduled_at=scheduled_at,
        expires_in_s=expires_in_s,
        capture=capture,
        return_url=return_url,
        statement_descriptor=statement_descriptor,
        receipt_email=receipt_email,
        **newer,
    )
    wait_s = arguments.wait_s(wait_s)
    return Call(Create("charge", fields, wait_s), Charge)


@many
def create_many(
    charges: Iterable[Mapping[str, Any]],
    *,
    batch: int = bulk.BATCH,
    progress: bulk.Progress | None = None,
) -> Bulk[Charge]:
    """Request many charges; yields for each, in order, its Charge or its BillingError.

    ::

        for answer in billing.charge.create_many(rows, progress=print):
            if isinstance(answer, billing.BillingError):
                again.append((answer.idempotency_key, answer.code))

    `charges` are mappings with the arguments of `create`; they are read lazily, a `batch` at a
    time, and nothing is sent before you iterate. Give each its `idempotency_key`: then repeating
    the call is safe whatever happened to the first. A refusal does not stop the others. Over a
    broker a batch is one round trip, over HTTP a few connections share it. `progress(done,
    refused)` is called with the totals after each batch.
    """
    return Bulk(
        "charge",
        charges,
        result=Charge,
        batch=batch,
        progress=progress,
    )


@verb
def capture(
    id: str,
    *,
    amount: int | None = None,
    final: bool | None = None,
    idempotency_key: str | None = None,
    wait_s: float | None = None,
) -> Call[Charge]:
    """Capture an authorized charge, once per `idempotency_key`: all that is left of it, or `amount`
    minor units. The last capture releases the rest; with `final=False` the rest stays authorized,
    if the processor supports that.

    Returns the charge as it stands; over HTTP, `wait_s` waits up to that many seconds for it to be
    final. A capture that took nothing leaves it authorized, with a `capture_failure_code`. Raises
    NotFound, KeyReused, CaptureExceedsCharge, ChargeNotCapturable (it is captured automatically,
    has ended, or is being captured or canceled), Unavailable.
    """
    fields = arguments.given(
        charge_id=arguments.id_of(id),
        amount=amount,
        final=final,
        idempotency_key=arguments.key(idempotency_key),
    )
    wait_s = arguments.wait_s(wait_s)
    return Call(Change("capture", fields, wait_s), Charge)


@verb
def cancel(id: str, *, reason: str | None = None, wait_s: float | None = None) -> Call[Charge]:
    """End a charge before any money moves: one that is scheduled, or that waits for its customer.

    Returns the charge as it stands. It has failed with the `failure_code` canceled if nothing had
    been sent to the processor yet; else it is pending until the processor was asked, and if money
    moved in the meantime it succeeds. Over HTTP, `wait_s` waits up to that many seconds for that.
    Canceling twice has the effect of canceling once. `reason` stays in the charge's history. Raises
    NotFound, ChargeNotCancelable (it has succeeded: refund it), Unavailable.
    """
    fields = arguments.given(charge_id=arguments.id_of(id), reason=reason)
    wait_s = arguments.wait_s(wait_s)
    return Call(Change("cancel", fields, wait_s), Charge)


@verb
def get(id: str) -> Call[Charge]:
    """The charge with this id, as it stands. Raises NotFound; ReadingNeedsHttp over a broker."""
    return Call(Get("charge", arguments.id_of(id)), Charge)


@verb
def wait(id: str, *, timeout_s: float = 30.0) -> Call[Charge]:
    """The charge as soon as it is final, or as it stands after `timeout_s`.

    Raises NotFound; ReadingNeedsHttp over a broker.
    """
    wait_s = arguments.seconds("timeout_s", timeout_s)
    return Call(Get("charge", arguments.id_of(id), wait_s), Charge)


@paged
def list(
    *,
    state: str | None = None,
    phase: str | None = None,
    customer_id: str | None = None,
    reference: str | None = None,
    price_id: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[Charge]:
    """A page of charges, newest first; `.auto_paging_iter()` goes through all of them.

    `price_id` is the id or the lookup key of a price; `created_after` and `created_before` are
    datetimes with a zone, or RFC 3339; `limit` is at most 100. Raises ReadingNeedsHttp over a
    broker.
    """
    query = arguments.given(
        state=state,
        phase=phase,
        customer_id=customer_id,
        reference=reference,
        price_id=price_id,
        created_after=created_after,
        created_before=created_before,
        limit=limit,
        cursor=cursor,
    )
    return ListCall(("charges",), query, Charge)


@verb
def timeline(id: str) -> Call[Sequence[TimelineEntry]]:
    """Everything that happened to a charge, in order: `at`, `what`, `object_id`, `text`, and facts.

    Raises NotFound; ReadingNeedsHttp over a broker.
    """
    path = ("charges", arguments.id_of(id), "timeline")
    return Call(Ask("GET", path), lambda told: [TimelineEntry(one) for one in entries(told)])
