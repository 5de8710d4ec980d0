"""The tasks: what they hand on, and what they return; everything else is somebody else's."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

import tasks.charge_tasks
import tasks.refund_tasks
import tasks.sweep_tasks
import tasks.webhook_tasks  # noqa: F401  # importing the tasks registers them
from infra.billing.contract.ids import PREFIXES, Kind
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from tasks.task_arguments import NOTHING_ELSE, Wishes
from tests.support.every import every
from worker.task_request import BillingTask

ID = "abcd2345" * 4
SECRET = "ada@example.org"


class TaskHandlers:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def create(
        self, kind: str, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes
    ) -> SimpleNamespace:
        assert wishes == NOTHING_ELSE
        self.asked.append(("create", kind, dict(fields), task_id))
        return SimpleNamespace(id="ch_1", state="pending", customer_id="cus_1")

    def cancel(self, fields: Mapping[str, Any], *, task_id: str, wishes: Wishes) -> SimpleNamespace:
        assert wishes == NOTHING_ELSE
        self.asked.append(("cancel", dict(fields), task_id))
        return SimpleNamespace(id="ch_1", state="pending", customer_id="cus_1")

    def submit(self, kind: str, id_: str) -> SimpleNamespace:
        self.asked.append(("submit", kind, id_))
        return SimpleNamespace(id=id_, state="succeeded", customer_id="cus_1")

    def drain(self, endpoint_ids: Sequence[str]) -> Future[None]:
        self.asked.append(("drain", *endpoint_ids))
        begun: Future[None] = Future()
        begun.set_result(None)
        return begun


@pytest.fixture
def handlers() -> TaskHandlers:
    return TaskHandlers()


@pytest.fixture
def app(handlers: TaskHandlers) -> Celery:
    app = Celery("tasks under test", task_cls=BillingTask, set_as_current=False)
    app.handlers = handlers
    app.finalize()
    return app


def run(app: Celery, task: str, *args: Any, **fields: Any) -> Any:
    return app.tasks[task].apply(args, fields, task_id="task-1", throw=True).result


@pytest.mark.parametrize(("kind", "name"), [("charge", "charge_id"), ("refund", "refund_id")])
def test_a_request_is_handed_on_as_it_came_and_answered_small(
    app: Celery, handlers: TaskHandlers, kind: str, name: str
) -> None:
    answer = run(app, f"billing.{kind}.create", amount=5.0, whatever=None)
    assert handlers.asked == [("create", kind, {"amount": 5.0, "whatever": None}, "task-1")]
    assert answer == {name: "ch_1", "state": "pending"}


def test_a_cancellation_is_handed_on_as_it_came_and_answered_small(
    app: Celery, handlers: TaskHandlers
) -> None:
    answer = run(app, "billing.charge.cancel", charge_id=5, whatever=None)
    assert handlers.asked == [("cancel", {"charge_id": 5, "whatever": None}, "task-1")]
    assert answer == {"charge_id": "ch_1", "state": "pending"}


@every("kind", ["charge", "refund"])
@every("field", ["self", "task_id", "kind", "args", "fields"])
def test_no_name_of_a_field_breaks_the_task(
    app: Celery, handlers: TaskHandlers, kind: str, field: str
) -> None:
    handlers.asked.clear()
    run(app, f"billing.{kind}.create", **{field: 1})
    assert handlers.asked == [("create", kind, {field: 1}, "task-1")]


def test_positional_arguments_make_a_request_that_is_refused_like_any_other(
    app: Celery, handlers: TaskHandlers
) -> None:
    run(app, "billing.charge.create", 1000, "USD")
    ((_, _, fields, _),) = handlers.asked
    with pytest.raises(InvalidRequest, match="by name, not by position"):
        parse(ChargeRequest, {"amount": 1, "currency": "USD", "idempotency_key": "k", **fields})


@pytest.mark.parametrize("kind", ["charge", "refund"])
def test_a_wake_up_call_goes_on_with_its_row(
    app: Celery, handlers: TaskHandlers, kind: Kind
) -> None:
    id_ = PREFIXES[kind] + ID
    assert run(app, f"billing.{kind}.submit", id=id_) == {f"{kind}_id": id_, "state": "succeeded"}
    assert handlers.asked == [("submit", kind, id_)]


def test_a_drain_is_handed_over(app: Celery, handlers: TaskHandlers) -> None:
    answer = run(app, "billing.webhook.drain", endpoint_id=f"we_{ID}")
    assert answer == {"endpoint_id": f"we_{ID}"}
    assert handlers.asked == [("drain", f"we_{ID}")]


def test_drains_of_many_endpoints_are_handed_over_together(
    app: Celery, handlers: TaskHandlers
) -> None:
    ids = [f"we_{ID}", f"we_{ID[::-1]}"]
    assert run(app, "billing.webhook.drain", endpoint_ids=ids) == {"endpoints": 2}
    assert handlers.asked == [("drain", *ids)]


@every(
    "task, args, fields",
    [
        ("billing.charge.submit", [], {}),
        ("billing.charge.submit", [f"ch_{ID}"], {}),
        ("billing.charge.submit", [], {"id": 5}),
        ("billing.charge.submit", [], {"id": ""}),
        ("billing.charge.submit", [], {"id": "a\x00"}),
        ("billing.charge.submit", [], {"id": f"re_{ID}"}),
        ("billing.refund.submit", [], {"id": f"ch_{ID}"}),
        ("billing.refund.submit", [], {"id": f"re_{ID}", "more": 1}),
        ("billing.refund.submit", [], {"id": f"re_{ID}", SECRET: 1}),
        ("billing.webhook.drain", [], {"id": f"we_{ID}"}),
        ("billing.webhook.drain", [], {"endpoint_id": SECRET}),
        ("billing.webhook.drain", [], {"endpoint_id": f"we_{SECRET}"}),
        ("billing.webhook.drain", [], {"endpoint_ids": []}),
        ("billing.webhook.drain", [], {"endpoint_ids": f"we_{ID}"}),
        ("billing.webhook.drain", [], {"endpoint_ids": {f"we_{ID}": 1}}),
        ("billing.webhook.drain", [], {"endpoint_ids": [f"we_{ID}", SECRET]}),
        ("billing.webhook.drain", [], {"endpoint_ids": [f"we_{ID}", 5]}),
        ("billing.webhook.drain", [], {"endpoint_ids": [f"we_{ID}"] * 101}),
        ("billing.webhook.drain", [], {"endpoint_ids": [f"we_{ID}"], SECRET: 1}),
        ("billing.webhook.drain", [], {"endpoint_ids": [f"we_{ID}"], "endpoint_id": f"we_{ID}"}),
        ("billing.sweep.due", [SECRET], {}),
        ("billing.sweep.payments", [SECRET], {}),
        ("billing.sweep.webhooks", [], {SECRET: 1}),
        ("billing.sweep.processor", [], {"self": SECRET}),
        ("billing.sweep.secrets", [SECRET], {}),
        ("billing.sweep.retention", [SECRET], {}),
        ("billing.sweep.ledger", [SECRET], {}),
    ],
)
def test_a_wake_up_call_that_is_none_is_refused(
    app: Celery, handlers: TaskHandlers, task: str, args: list[Any], fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        run(app, task, *args, **fields)
    assert SECRET not in f"{refusal.value} {refusal.value.param}"
    assert handlers.asked == []
