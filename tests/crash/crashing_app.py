"""The real app, made of parts that end their own process at a named point, once.

Started as `celery -A tests.crash.crashing_app worker`; tests/crash/points.py says how it dies.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from celery import signals
from sqlalchemy import Engine, event

from payments.access.vault import Vault
from payments.lifecycle import cancels, database_steps
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.processors.outcomes import Found, Outcome
from payments.processors.port import Order
from payments.processors.sandbox import Sandbox
from payments.transaction import Transaction, Wakes
from payments.webhooks.delivery_loop import Deliverer
from payments.webhooks.draining import drains
from service.broker.publisher import Publisher
from service.database.group_commit import GroupCommitter
from service.settings import Settings
from service.wiring import Parts, asked_together, open_sandbox
from tests.crash.points import die_at
from tests.support.waiting import slowness
from worker import task_handlers
from worker.app import app
from worker.envelope import Call
from worker.loop.carrying import Carrier

# What a drainer that died leaves behind, for as long as a test can wait.
drains.LEASE_S = 2.0 * slowness()


@signals.task_prerun.connect
def _received(**_: Any) -> None:
    die_at("received")


@signals.task_postrun.connect
def _done(**_: Any) -> None:
    die_at("done")  # Everything is committed, the message not yet acknowledged.


class MortalCarrier(Carrier):
    """On the loop, the same."""

    async def carry(self, call: Call, proof: object) -> dict[str, Any]:
        die_at("received")
        result = await super().carry(call, proof)
        die_at("done")
        return result


task_handlers.Carrier = MortalCarrier  # type: ignore[misc]  # it is made there


def begin(
    transaction: Transaction, items: Sequence[database_steps.Begin], **rules: Any
) -> list[database_steps.Begun]:
    begun = database_steps.begin(transaction, items, **rules)
    die_at("claiming")  # All is written, nothing committed.
    return begun


def settle(
    transaction: Transaction, items: Sequence[database_steps.Settlement], **rules: Any
) -> Any:
    rows = database_steps.settle(transaction, items, **rules)
    die_at("settling")
    return rows


def cancel(transaction: Transaction, items: Sequence[Cancellation]) -> Any:
    rows = cancels.cancel(transaction, items)
    die_at("recording")  # The wish is written, not committed.
    return rows


def capture(transaction: Transaction, items: Sequence[NewCapture], **rules: Any) -> Any:
    accepted = captures.accept(transaction, items, **rules)
    die_at("recording_capture")  # It is written, not committed.
    return accepted


class MortalSandbox(Sandbox):
    """Whoever calls it may die on the way there, on the way back, and before and after."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            open_sandbox(settings.database_url),
            batch=lambda run: GroupCommitter(_on_the_road(run)).submit,
            latency_ms=settings.sandbox_latency_ms,
            timeout_ms=settings.sandbox_timeout_ms,
            key_window=timedelta(seconds=settings.sandbox_key_window_s),
        )

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        die_at("claimed")
        outcome = super().charge(order, deadline_s=deadline_s)
        die_at("answered")
        return outcome

    def capture(self, order: Order, *, deadline_s: float) -> Found:
        die_at("capturing")
        found = super().capture(order, deadline_s=deadline_s)
        die_at("captured")
        return found

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        die_at("canceling")
        found = super().cancel(order, deadline_s=deadline_s)
        die_at("canceled")
        return found

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        die_at("claimed")
        outcome = super().refund(order, deadline_s=deadline_s)
        die_at("answered")
        return outcome


def _on_the_road(run: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def there_and_back(instructions: Sequence[Any]) -> Any:
        die_at("calling")
        answers = run(instructions)
        die_at("moved")
        return answers

    return there_and_back


class MortalPublisher(Publisher):
    def __call__(self, wakes: Wakes) -> None:
        die_at("waking")
        super().__call__(wakes)
        die_at("woken")


def deliverer(engine: Engine, vault: Vault, **options: Any) -> Deliverer:
    """The real one, on an engine that notices a drainer's turns."""

    def records(parameters: Any) -> bool | None:
        given = parameters.get("records") if isinstance(parameters, dict) else None
        return None if given is None else given != "[]"

    @event.listens_for(engine, "before_cursor_execute")
    def _before(_c: Any, _cursor: Any, _statement: str, parameters: Any, *_: Any) -> None:
        if records(parameters):
            die_at("posted")

    @event.listens_for(engine, "after_cursor_execute")
    def _after(_c: Any, _cursor: Any, _statement: str, parameters: Any, *_: Any) -> None:
        match records(parameters):
            case True:
                die_at("recorded")
            case False:
                die_at("drain_claimed")

    return Deliverer(engine, vault, together=asked_together, **options)


app.parts = Parts(
    processors={"sandbox": MortalSandbox},
    begin=begin,
    settle=settle,
    cancel=cancel,
    capture=capture,
    publisher=MortalPublisher,
    deliverer=deliverer,
)
