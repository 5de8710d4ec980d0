"""Charge tasks: the broker's door, and continuing a charge that is due."""

from typing import Any

from celery import shared_task

from infra.billing.contract.messages.task_names import CANCEL, CAPTURE, CREATE, SUBMIT
from tasks.task_arguments import by_name, id_field, of_message, only_keywords


@shared_task(name=CREATE["charge"], bind=True)
def create(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Take money once. Fields: `ChargeRequest`; without `idempotency_key` Celery's task id is the
    key."""
    row = self.app.handlers.create("charge", by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name=SUBMIT["charge"], bind=True)
def submit(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Continue with the charge `id`."""
    only_keywords(args, self.request)
    row = self.app.handlers.submit("charge", id_field(fields, "id", "ch_"))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name=CANCEL, bind=True)
def cancel(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """End a charge, unless money has moved. Fields: `CancelRequest`."""
    row = self.app.handlers.cancel(by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off


@shared_task(name=CAPTURE, bind=True)
def capture(self: Any, /, *args: Any, **fields: Any) -> dict[str, str]:
    """Capture authorized money of a charge. Fields: `CaptureRequest`; without `idempotency_key`
    Celery's task id is the key."""
    row = self.app.handlers.capture(by_name(args, fields), **of_message(self.request))
    return {"state": row.state, "charge_id": row.id}  # Flower cuts the end off
