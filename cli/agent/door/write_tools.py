"""What an agent may do where it is allowed to: once per key, with a reason, in the audit."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from cli import database_access, options
from cli.actor import acting_as

if TYPE_CHECKING:
    from payments.transaction import Transaction

Answer = dict[str, Any]
Key = Annotated[
    str,
    Field(
        min_length=1,
        description="Made of what it is for, such as refund-of-order-1042. The same key again is"
        " the same act, and is answered the same.",
    ),
]
Reason = Annotated[
    str,
    Field(min_length=1, description="Why, and who asked for it, in words; it stays in the audit."),
]


def tools(actor: str) -> Iterator[tuple[Callable[..., Answer], bool]]:
    """The acts of an agent, and whether each takes something away for good."""

    @contextmanager
    def acting(reason: str) -> "Iterator[Transaction]":
        with acting_as(actor, reason), database_access.writing() as transaction:
            yield transaction

    def refund(
        charge_id: Annotated[str, Field(description="ch_…, of `find` or `list_charges`.")],
        idempotency_key: Key,
        reason: Reason,
        amount: Annotated[
            int | None,
            Field(strict=True, ge=1, description="In minor units; all that is left without it."),
        ] = None,
        producer: Annotated[
            str, Field(description="The producer in whose name to ask; keys belong to producers.")
        ] = "default",
    ) -> Answer:
        """Give money of a charge back to its customer. It can't be taken back. In the phase
        awaiting_approval it waits for a person."""
        from cli.payments import payment_requests
        from models.rows import as_refund
        from payments.kinds import REFUND

        fields = options.sent(
            charge_id=charge_id, amount=amount, idempotency_key=idempotency_key, producer=producer
        )
        with acting_as(actor, reason):
            return REFUND.view(as_refund(payment_requests.accept("refund", fields)))

    def retry_delivery(
        delivery_id: Annotated[str, Field(description="Of `list_deliveries`.")],
        idempotency_key: Key,
        reason: Reason,
    ) -> Answer:
        """Send a webhook again now, whatever became of it, with new retries. Its receiver sees the
        same id as the first time."""
        from payments.webhooks import replays
        from payments.webhooks.records import delivery_queries

        with acting(reason) as transaction:
            return _once(
                transaction,
                "delivery.retry",
                idempotency_key,
                {"delivery_id": delivery_id},
                lambda: delivery_queries.view(replays.retry(transaction, delivery_id)),
            )

    def resolve(
        id: Annotated[str, Field(description="ch_… or re_…, which needs review.")],  # noqa: A002  # as everywhere
        decision: Annotated[
            Literal["succeeded", "failed", "retry"],
            Field(
                description="What a person found at the processor. retry only if they saw that"
                " nothing moved: it may move money."
            ),
        ],
        idempotency_key: Key,
        reason: Reason,
    ) -> Answer:
        """Settle a charge or refund that needs review, by what a person found at the processor.
        Where a second person must approve it, it stays as it is until they do."""
        from payments.lifecycle import reviews
        from payments.views import standing

        def settled(transaction: "Transaction") -> Answer:
            # What is kept of the answer says nothing about a customer.
            row = reviews.resolve(transaction, id, decision, approvals=database_access.approvals())
            return {"id": id, **standing(row)}

        with acting(reason) as transaction:
            asked = {"id": id, "decision": decision}
            return _once(
                transaction, "resolve", idempotency_key, asked, lambda: settled(transaction)
            )

    yield refund, True
    yield retry_delivery, False
    yield resolve, True


def _once(
    transaction: "Transaction",
    operation: str,
    key: str,
    asked: Mapping[str, Any],
    do: Callable[[], Answer],
) -> Answer:
    from payments.intake import once

    return once.once(transaction, operation, key=key, asked=asked, do=do).answer
