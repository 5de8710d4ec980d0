"""Refund tasks: the broker's door, and continuing a refund that is due."""

from typing import Any

from celery import shared_task

from infra.billing.contract.messages.task_names import CREATE, SUBMIT
from tasks.task_arguments import by_name, id_field, of_message, only_keywords


@shared_task(name=CREATE["refund"], bind=True)
def create(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Give money back once. Without `idempotency_key` Celery's task id is the key."""
    row = self.app.handlers.create("refund", by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "refund_id": row.id}  # Flower cuts the end off


@shared_task(name=SUBMIT["refund"], bind=True)
def submit(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Continue with the refund `id`."""
    only_keywords(args, self.request)
    row = self.app.handlers.submit("refund", id_field(fields, "id", "re_"))
    return {"state": row.state, "refund_id": row.id}  # Flower cuts the end off
