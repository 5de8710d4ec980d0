"""Sweeps: finding what is due, whether or not a message tells of it. Beat runs them in place
(`worker.beat`); sent as messages they do the same. Every one is idempotent."""

from typing import Any

from celery import shared_task

from tasks.requests import nothing


@shared_task(name="billing.sweep.payments", bind=True)
def payments(self: Any, /, *args: Any, **fields: Any) -> int:
    """Expired leases end as unknown; charges and refunds that are due are woken."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep_payments()
    return found


@shared_task(name="billing.sweep.webhooks", bind=True)
def webhooks(self: Any, /, *args: Any, **fields: Any) -> int:
    """Endpoints with deliveries that are due and no drainer are woken."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep_webhooks()
    return found


@shared_task(name="billing.sweep.processor", bind=True)
def processor(self: Any, /, *args: Any, **fields: Any) -> int:
    """What the processor tells by itself is read and applied."""
    nothing(args, fields, self.request)
    found: int = self.app.handlers.sweep_processor()
    return found
