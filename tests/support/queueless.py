"""A worker without a queue: from asked to final, one call after another."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments.lifecycle.blocking import BlockingExecutor
from payments.lifecycle.database_steps import Settlement
from payments.processors.port import Processor
from payments.processors.registry import Processors
from tests.support.factories import Till, a_lease, kind

STEP = timedelta(minutes=15)
FINAL = ("succeeded", "failed", "needs_review")


class QueuelessWorker:
    """An executor on a till, a processor, and a clock to turn: `pass_time` is the processor's."""

    def __init__(
        self,
        engine: Engine,
        processor: Processor,
        pass_time: Callable[[timedelta], None],
        *,
        key_window: timedelta,
        call_deadline_s: float = 5.0,
    ) -> None:
        self.till = Till(engine, key_window=key_window, processors=(processor.name,))
        self.engine = engine
        self.processor = processor
        self._pass_time = pass_time
        self._call_deadline_s = call_deadline_s
        self.executor = self.executor_with(processor)

    def executor_with(self, processor: Any, **others: Any) -> BlockingExecutor:
        """Another worker on the same database; its processor or its steps may break."""
        parts: dict[str, Any] = {
            "begin": lambda item: self.till.begin(item)[0],
            "settle": self.settle,
            **others,
        }
        return BlockingExecutor(
            **parts,
            cancel=lambda one: self.till.cancel_all(one)[0],
            capture=lambda one: self.till.capture_all(one)[0],
            processors=Processors(processor),
            policies={processor.name: self.till.policy},
            new_lease=a_lease,
            call_deadline_s=self._call_deadline_s,
        )

    def settle(self, item: Settlement) -> Any:
        return self.till.settle_all((item.claimed, item.verb, item.found))[0]

    def go(self, request: ChargeRequest | RefundRequest) -> str:
        """Create it, and do what falls due until nothing does; where it stands then."""
        self.executor.create(request)
        return self.go_on(request.id)

    def go_on(self, id_: str, *, rounds: int = 12) -> str:
        for _ in range(rounds):
            if self.till.stand(id_) in FINAL:
                break
            self.time_passes(STEP, id_)
            self.till.sweep()
            self.executor.submit(kind(id_), id_)
        return self.till.stand(id_)

    def time_passes(self, duration: timedelta, *ids: str) -> None:
        self.till.time_passes(duration, *ids)
        self._pass_time(duration)
