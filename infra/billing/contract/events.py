"""The types of events: what each means, and which object it carries."""

from collections.abc import Mapping
from typing import NamedTuple


class EventType(NamedTuple):
    """A kind of fact that webhooks and the feed tell."""

    name: str
    data: str  # the `object` that it carries, by that name
    means: str
    # Whether an endpoint without a list of types is not told of it.
    only_by_name: bool = False


# Every charge and refund is pending once; receivers seldom care, so they must ask for it by name.
EVENTS: Mapping[str, EventType] = {
    event.name: event
    for event in (
        EventType("charge.pending", "charge", "A charge was accepted.", only_by_name=True),
        EventType("charge.succeeded", "charge", "The money was taken."),
        EventType(
            "charge.failed",
            "charge",
            "No money was taken, and none will be; `failure_code` says why.",
        ),
        EventType(
            "charge.canceled",
            "charge",
            "Somebody ended it (`failure_code` is `canceled`), or its time was up (`expired`): no"
            " money was taken, and none will be. It is sent in place of `charge.failed`.",
        ),
        EventType(
            "charge.authorized",
            "charge",
            "The money is set aside, to be captured until `capture_before`.",
        ),
        EventType(
            "charge.captured",
            "charge",
            "A part of the money was taken, and the rest is still set aside. The last capture is"
            " told by `charge.succeeded`.",
        ),
        EventType(
            "charge.capture_failed",
            "charge",
            "A capture took nothing, and the money is still set aside; `capture_failure_code` says"
            " why.",
        ),
        EventType(
            "charge.authorization_expiring",
            "charge",
            "What is set aside will be let go of soon, unless it is captured: at `capture_before`.",
        ),
        EventType(
            "charge.requires_action",
            "charge",
            "The customer has to do something; `next_action` says what.",
        ),
        EventType(
            "charge.needs_review",
            "charge",
            "Nobody could find out whether money was taken; a person decides.",
        ),
        EventType("refund.pending", "refund", "A refund was accepted.", only_by_name=True),
        EventType("refund.succeeded", "refund", "The money went back."),
        EventType(
            "refund.failed", "refund", "The money did not go back, or came back from the bank."
        ),
        EventType(
            "refund.needs_review",
            "refund",
            "Nobody could find out whether money went back; a person decides.",
        ),
        EventType("dispute.opened", "dispute", "A customer's bank contests a charge, or asks."),
        EventType(
            "dispute.updated", "dispute", "It stands otherwise: its state, amount or `respond_by`."
        ),
        EventType("dispute.closed", "dispute", "It is over: `won`, `lost` or `warning_closed`."),
        EventType(
            "request.rejected", "rejected_request", "A request that came by message was refused."
        ),
        EventType("price.created", "price", "A price was made."),
        EventType(
            "price.updated",
            "price",
            "A price was renamed, was made active again, or got or lost its lookup key.",
        ),
        EventType("price.archived", "price", "A price takes no new charges."),
        EventType("price.deleted", "price", "A price is gone; this is how it was."),
        EventType(
            "price.inventory_changed",
            "price",
            "There is more or less of a price: charges took from it or gave back, or somebody"
            " counted. One event covers everything that changed in one transaction.",
        ),
        EventType(
            "endpoint.disabled",
            "webhook_endpoint",
            "Somebody disabled an endpoint: it is sent nothing until it is enabled. Sent to the"
            " other endpoints.",
        ),
        EventType("ping", "webhook_endpoint", "A test that webhooks arrive."),
    )
}
TYPES = tuple(EVENTS)
ONLY_BY_NAME = tuple(name for name, event in EVENTS.items() if event.only_by_name)
