"""Everything that the service shows, with each object and field declared once.

The SDK returns these classes. The service's views, OpenAPI, AsyncAPI, the tables in the docs and
the SDK's pending objects are generated from them.
"""

from collections.abc import Mapping
from typing import Any

from infra.billing.contract.objects.approval_objects import Approval
from infra.billing.contract.objects.audit_objects import AuditEntry
from infra.billing.contract.objects.charge_objects import Charge, NextAction
from infra.billing.contract.objects.deliveries import (
    Delivery,
    DeliveryAttempt,
    DeliveryWithAttempts,
)
from infra.billing.contract.objects.dispute_objects import Dispute
from infra.billing.contract.objects.explanations import Problem, TimelineEntry
from infra.billing.contract.objects.finds import Find
from infra.billing.contract.objects.object_fields import constant
from infra.billing.contract.objects.refund_objects import Refund
from infra.billing.contract.objects.resource import Resource, WithFacts
from infra.billing.contract.objects.sales import (
    Currency,
    Deleted,
    Line,
    Price,
    PricePackages,
    PriceRecurring,
    PriceTier,
    Product,
    Quote,
)
from infra.billing.contract.objects.webhook_objects import (
    Endpoint,
    EndpointHealth,
    Event,
    NewEndpoint,
    Pinged,
    RejectedRequest,
    Replayed,
)

OBJECTS: tuple[type[Resource], ...] = (
    Product,
    Price,
    Currency,
    Quote,
    Deleted,
    Charge,
    Refund,
    Dispute,
    RejectedRequest,
    Endpoint,
    Delivery,
    TimelineEntry,
    Find,
    AuditEntry,
    Approval,
    Problem,
)
# By the value of their field `object`.
BY_NAME: Mapping[str, type[Resource]] = {
    name: kind for kind in OBJECTS if (name := constant(kind)) is not None
}

__all__ = [
    "BY_NAME",
    "OBJECTS",
    "Approval",
    "AuditEntry",
    "Charge",
    "Currency",
    "Deleted",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryWithAttempts",
    "Dispute",
    "Endpoint",
    "EndpointHealth",
    "Event",
    "Find",
    "Line",
    "NewEndpoint",
    "NextAction",
    "Pinged",
    "Price",
    "PricePackages",
    "PriceRecurring",
    "PriceTier",
    "Problem",
    "Product",
    "Quote",
    "Refund",
    "RejectedRequest",
    "Replayed",
    "Resource",
    "TimelineEntry",
    "WithFacts",
    "resource",
]


def resource(fields: Mapping[str, Any]) -> Resource:
    """The object for these `fields`, by their `object`."""
    return BY_NAME.get(fields.get("object", ""), Resource)(fields)
