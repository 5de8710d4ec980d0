"""The health of an endpoint: its last hundred attempts, and what waits for it.

The drainer keeps the attempts' durations in the endpoint's own row (`draining/drain_statements`),
which it writes with every batch anyway. So a list of endpoints costs one index probe for each,
however many attempts there were.
"""

from math import ceil
from typing import Any

from sqlalchemy import func, literal, select

from models import Delivery, WebhookEndpoint
from models.base import table_of
from models.rows import EndpointRow
from payments.views import moment

_endpoints, _deliveries = table_of(WebhookEndpoint), table_of(Delivery)
_oldest_due = (
    select(func.min(_deliveries.c.next_attempt_at))
    .where(
        _deliveries.c.endpoint_id == _endpoints.c.id,
        _deliveries.c.state == literal("pending", literal_execute=True),
        _deliveries.c.next_attempt_at <= func.now(),
    )
    .correlate(_endpoints)
    .scalar_subquery()
    .label("oldest_due_at")
)
# An endpoint's columns, and those from which its health is computed.
ENDPOINT = (*_endpoints.c, _oldest_due)


def of(row: EndpointRow) -> dict[str, Any]:
    """The health of an endpoint that was read with ENDPOINT."""
    good = sorted(ms for ms in row.recent_ms if ms >= 0)
    count = len(row.recent_ms)
    return {
        "attempts": count,
        "success_rate": round(len(good) / count, 4) if count else None,
        # The nearest rank: a value that was measured.
        "p95_ms": good[ceil(0.95 * len(good)) - 1] if good else None,
        "last_success_at": moment(row.last_success_at),
        "oldest_due_at": moment(row.oldest_due_at),
        "local_fault": row.local_fault,
        "local_fault_at": moment(row.local_fault_at),
    }
