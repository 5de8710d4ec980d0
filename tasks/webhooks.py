"""The webhook task: one message has one endpoint drained, or some that are due together."""

from typing import Any

from celery import shared_task

from tasks.requests import ids_field, only_keywords


@shared_task(name="billing.webhook.drain", bind=True)
def drain(self: Any, /, *args: Any, **fields: Any) -> dict[str, Any]:
    """Have what is due at `endpoint_id`, or at each of `endpoint_ids`, delivered: all drains of a
    process share one event loop."""
    only_keywords(args, self.request)
    endpoint_ids = ids_field(fields, "endpoint_id", "we_")
    self.app.handlers.drain(endpoint_ids)
    if "endpoint_ids" in fields:
        return {"endpoints": len(endpoint_ids)}
    return {"endpoint_id": endpoint_ids[0]}
