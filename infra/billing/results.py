"""What comes back: the objects of the contract, and parts of lists of them."""

from collections.abc import Mapping
from typing import Any

from infra.billing.contract.objects import (
    BY_NAME,
    Charge,
    Currency,
    Dispute,
    Endpoint,
    Event,
    Line,
    NewEndpoint,
    NextAction,
    Pinged,
    Price,
    Product,
    Quote,
    Refund,
    RejectedRequest,
    Replayed,
    Resource,
    TimelineEntry,
)

__all__ = [
    "Charge",
    "Currency",
    "Dispute",
    "Endpoint",
    "Event",
    "Line",
    "NewEndpoint",
    "NextAction",
    "Pinged",
    "Price",
    "Product",
    "Quote",
    "Refund",
    "RejectedRequest",
    "Replayed",
    "Resource",
    "TimelineEntry",
    "resource",
]


def resource(fields: Mapping[str, Any]) -> Resource:
    """The object that `fields` are, by their `object`."""
    return BY_NAME.get(fields.get("object", ""), Resource)(fields)
