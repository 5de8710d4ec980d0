"""The webhook task: one message drains one endpoint."""

from typing import Any

from celery import shared_task

from tasks.requests import id_field, only_keywords


@shared_task(name="billing.webhook.drain", bind=True)
def drain(self: Any, /, *args: Any, **fields: Any) -> dict[str, Any]:
    """Deliver what is due at `endpoint_id`."""
    only_keywords(args, self.request)
    endpoint_id = id_field(fields, "endpoint_id", "we_")
    return {"endpoint_id": endpoint_id, "tried": self.app.handlers.drain(endpoint_id)}
