"""The webhook task: one message drains one endpoint, or some that are due together."""

from collections.abc import Mapping, Sequence
from typing import Any

from celery import shared_task

from infra.billing.contract.messages.task_names import DRAIN
from tasks.task_arguments import ids_field, only_keywords


@shared_task(name=DRAIN, bind=True)
def drain(self: Any, /, *args: Any, **fields: Any) -> dict[str, Any]:
    """Deliver what is due at `endpoint_id`, or at each of `endpoint_ids`: all drains of a process
    share one event loop."""
    only_keywords(args, self.request)
    endpoint_ids = to_drain(fields)
    self.app.handlers.drain(endpoint_ids).result()
    return drained(fields, endpoint_ids)


def to_drain(fields: Mapping[str, Any]) -> Sequence[str]:
    """The endpoints that a message names. Raises InvalidRequest."""
    return ids_field(fields, "endpoint_id", "we_")


def drained(fields: Mapping[str, Any], endpoint_ids: Sequence[str]) -> dict[str, Any]:
    """The result that Flower shows."""
    if "endpoint_ids" in fields:
        return {"endpoints": len(endpoint_ids)}
    return {"endpoint_id": endpoint_ids[0]}
