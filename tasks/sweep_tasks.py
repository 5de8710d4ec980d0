"""Sweeps: finding what is due, whether or not a message announces it. Beat runs them in its own
process (`worker.beat`); sent as messages they do the same. Every one is idempotent."""

from typing import Any

from celery import shared_task

from infra.billing.contract.messages.task_names import SWEEP_DUE, SWEEP_SECRETS
from tasks.task_arguments import nothing


@shared_task(name=SWEEP_DUE, bind=True)
def due(self: Any, /, *args: Any, **fields: Any) -> int:
    """Makes those of the sweeps below that have something to do, except for that of secrets."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("due")
    return found


@shared_task(name="billing.sweep.payments", bind=True)
def payments(self: Any, /, *args: Any, **fields: Any) -> int:
    """Expired leases end as unknown; charges and refunds that are due are woken."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("payments")
    return found


@shared_task(name="billing.sweep.webhooks", bind=True)
def webhooks(self: Any, /, *args: Any, **fields: Any) -> int:
    """Endpoints with deliveries that are due and no drainer are woken."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("webhooks")
    return found


@shared_task(name="billing.sweep.processor", bind=True)
def processor(self: Any, /, *args: Any, **fields: Any) -> int:
    """Events that processors report are read and applied."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("processor")
    return found


@shared_task(name=SWEEP_SECRETS, bind=True)
def secrets(self: Any, /, *args: Any, **fields: Any) -> int:
    """Secrets that are not encrypted with the newest key are."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("secrets")
    return found


@shared_task(name="billing.sweep.retention", bind=True)
def retention(self: Any, /, *args: Any, **fields: Any) -> int:
    """What is past its retention time is deleted."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("retention")
    return found


@shared_task(name="billing.sweep.ledger", bind=True)
def ledger(self: Any, /, *args: Any, **fields: Any) -> int:
    """Closed hours of the ledger are sealed; objects from before the ledger are posted."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep("ledger")
    return found
