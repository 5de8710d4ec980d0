"""What the guard finds, setting by setting."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker.control import Panel

from service.broker.celery_config import configuration
from tests.support.every import every
from worker import control, guard
from worker.task_request import BillingTask
from worker.transport import redis_transport


def _app(url="redis://:hunter2@127.0.0.1:1/0", **changes):
    redis_transport.register()
    app = Celery("billing", task_cls=BillingTask, set_as_current=False)
    settings = SimpleNamespace(
        broker_url=url, slots=64, shutdown_s=25.0, lease_s=25.0, extra_queues=()
    )
    app.conf.update(configuration(settings))
    app.conf.update(changes)
    app.handlers = SimpleNamespace(quarantine=lambda *_, **__: None)
    return app


def _problems(app, *, pool="threads", prefetch_multiplier=1):
    return list(guard.problems(app, pool=pool, prefetch_multiplier=prefetch_multiplier))


@pytest.mark.parametrize("url", ["redis://:x@h:1/0", "rediss://:x@h:1/0", "amqp://g:g@h:1//"])
def test_our_own_configuration_is_safe(url):
    assert _problems(_app(url)) == []


@every(
    "changes, name",
    [
        ({"task_acks_late": False}, "task_acks_late"),
        ({"accept_content": ["json", "pickle"]}, "accept_content"),
        (
            {"worker_cancel_long_running_tasks_on_connection_loss": True},
            "worker_cancel_long_running_tasks_on_connection_loss",
        ),
        ({"worker_consumer": "celery.worker.consumer:Consumer"}, "worker_consumer"),
        ({"task_queues": []}, "task_queues"),
        ({"broker_transport_options": {"global_keyprefix": "x"}}, "global_keyprefix"),
    ],
)
def test_each_unsafe_setting_is_named(changes, name):
    problems = _problems(_app(**changes))
    # Shared tasks belong to every app, so where ours are imported they are named beside it.
    assert problems
    assert all(name.removeprefix("task_") in problem for problem in problems)


@every("pool", ["prefork", "eventlet", "gevent", "solo"])
def test_other_pools_are_refused(pool):
    (problem,) = _problems(_app(), pool=pool)
    assert "-P threads" in problem


def test_prefetching_more_than_runs_is_refused():
    (problem,) = _problems(_app(), prefetch_multiplier=4)
    assert "worker_prefetch_multiplier is 4: set it to 1" in problem


def test_a_task_that_acknowledges_early_is_refused():
    app = _app()

    @app.task(name="billing.early", acks_late=False, shared=False)
    def early():
        pass

    (problem,) = _problems(app)
    assert "billing.early" in problem


def test_an_app_without_quarantine_is_refused():
    app = _app()
    app.handlers = None
    (problem,) = _problems(app)
    assert "quarantine" in problem


def test_rabbitmq_without_confirms_is_refused():
    (problem,) = _problems(_app("amqp://g:g@h:1//", broker_transport_options={}))
    assert "confirm_publish" in problem


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_redis_that_evicts_stops_the_worker(policy):
    ((fatal, text),) = guard.redis_problems({"maxmemory-policy": policy, "appendonly": "yes"})
    assert fatal
    assert "noeviction" in text


def test_a_redis_without_a_file_is_only_a_warning():
    ((fatal, text),) = guard.redis_problems({"maxmemory-policy": "noeviction", "appendonly": "no"})
    assert not fatal
    assert "appendonly" in text


def test_dangerous_remote_commands_are_taken_out_and_inspection_stays():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Panel, "data", dict(Panel.data))
        patch.setattr(Panel, "meta", dict(Panel.meta))
        assert set(Panel.data) >= control.FORBIDDEN
        control.trim()
        assert not control.FORBIDDEN & set(Panel.data)
        assert {"ping", "stats", "active", "registered", "active_queues"} <= set(Panel.data)
