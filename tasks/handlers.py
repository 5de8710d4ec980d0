"""What tasks need from their process; `service.wiring` provides it as `app.handlers`."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol

from infra.billing.contract.ids import Kind
from models.rows import LifecycleRow
from tasks.task_arguments import Wishes

# `due` makes those of the others that have something to do.
Sweep = Literal["due", "payments", "webhooks", "processor", "secrets", "retention", "ledger"]


class TaskHandlers(Protocol):
    """One verb per task."""

    def create(
        self, kind: Kind, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes
    ) -> LifecycleRow:
        """Accept a request and carry it as far as possible now. Raises Refused."""
        ...

    def cancel(self, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes) -> LifecycleRow:
        """End a charge, as far as possible now. Raises Refused."""
        ...

    def capture(self, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes) -> LifecycleRow:
        """Capture authorized money of a charge. Raises Refused."""
        ...

    def submit(self, kind: Kind, id_: str) -> LifecycleRow:
        """Continue with a row that is due."""
        ...

    def drain(self, endpoint_ids: Sequence[str]) -> Future[None]:
        """Deliver what is due at these endpoints. The future ends as soon as that has begun, so a
        caller notices a loop that hangs."""
        ...

    def sweep(self, what: Sweep) -> int:
        """Find what is due; returns how much."""
        ...
