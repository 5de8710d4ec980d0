"""The types of events: what each means, and which object it carries."""

from collections.abc import Mapping
from typing import NamedTuple


class EventType(NamedTuple):
    """A kind of fact that webhooks and the feed tell."""

    name: str
    data: str  # the `object` that it carries, by that name
    means: str
    # Whether an endpoint without a list of types doesn't get it.
    only_by_name: bool = False
    # Whether the endpoint that it is about doesn't get it.
    to_others: bool = False


_WHILE_ASKED = "The event is written only while an enabled endpoint asks for it by name."
# Every charge and refund is pending once; receivers rarely care, so they must subscribe to it by
# name, and unless one does it is not written. The same goes for `charge.updated`, which may
# overtake the final event that it follows: a receiver that waits for that event by its type, and
# ignores what is older than the newest, would never act on it.
EVENTS: Mapping[str, EventType] = {
    event.name: event
    for event in (
        EventType(
            "charge.pending",
            "charge",
            f"A charge was accepted. {_WHILE_ASKED}",
            only_by_name=True,
        ),
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
            " announced by `charge.succeeded`.",
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
        EventType(
            "charge.updated",
            "charge",
            "Something became known of a charge that had ended: what the processor keeps of it"
            " (`fee`, `net`, `settlement_currency`). Its state stands.",
            only_by_name=True,
        ),
        EventType(
            "refund.pending",
            "refund",
            f"A refund was accepted. {_WHILE_ASKED}",
            only_by_name=True,
        ),
        EventType("refund.succeeded", "refund", "The money went back."),
        EventType(
            "refund.failed", "refund", "The money did not go back, or came back from the bank."
        ),
        EventType(
            "refund.needs_review",
            "refund",
            "Nobody could find out whether money went back; a person decides.",
        ),
        EventType(
            "refund.needs_approval",
            "refund",
            "A second person must approve it before it is sent (`billing approval`).",
            only_by_name=True,
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
            "An endpoint was disabled, by somebody or by itself (`disabled_because`): it is sent"
            " nothing until it is enabled. Sent to the other endpoints.",
            to_others=True,
        ),
        EventType(
            "endpoint.failing",
            "webhook_endpoint",
            "An endpoint has accepted nothing for 60 hours, since `failing_since`. After 120 hours"
            " it is disabled, if a webhook has used up all its attempts. Sent to the other"
            " endpoints.",
            to_others=True,
        ),
        EventType("ping", "webhook_endpoint", "A test that webhooks arrive."),
    )
}
TYPES = tuple(EVENTS)
TO_OTHERS = tuple(name for name, event in EVENTS.items() if event.to_others)
ONLY_BY_NAME = tuple(name for name, event in EVENTS.items() if event.only_by_name)
# The same in a sentence.
UNASKED_FOR = f"`{'`, `'.join(ONLY_BY_NAME[:-1])}` and `{ONLY_BY_NAME[-1]}`"
