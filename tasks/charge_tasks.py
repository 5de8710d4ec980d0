"""Charge tasks: the broker's door, and continuing a charge that is due."""

from typing import Any

from celery import shared_task

from infra.billing.contract.requests.by_kind import CANCEL_TASK, CAPTURE_TASK
from tasks.task_arguments import by_name, id_field, of_message, only_keywords


@shared_task(name="billing.charge.create", bind=True)
def create(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Take money once. Fields: `ChargeRequest`; without `idempotency_key` Celery's task id is the
    key."""
    row = self.app.handlers.create("charge", by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name="billing.charge.submit", bind=True)
def submit(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Continue with the charge `id`."""
    only_keywords(args, self.request)
    row = self.app.handlers.submit("charge", id_field(fields, "id", "ch_"))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name=CANCEL_TASK, bind=True)
def cancel(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """End a charge, unless money has moved. Fields: `CancelRequest`."""
    row = self.app.handlers.cancel(by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name=CAPTURE_TASK, bind=True)
def capture(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Capture authorized money of a charge. Fields: `CaptureRequest`; without `idempotency_key`
    Celery's task id is the key."""
    row = self.app.handlers.capture(by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off
