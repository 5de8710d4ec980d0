"""The handlers of tasks, in the process of the test."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from payments.processors.sandbox import Sandbox
from service.settings import Settings
from service.wiring import REAL
from worker.task_handlers import TaskHandlers


@contextmanager
def task_handlers(settings: Settings, parts: object = REAL) -> Iterator[TaskHandlers]:
    handlers = TaskHandlers(Celery(broker=settings.broker_url), settings, parts)  # type: ignore[arg-type]
    try:
        yield handlers
    finally:
        handlers.close()
        handlers.services.engine.dispose()
        for one in handlers.services.processors.values():
            if isinstance(one, Sandbox):
                one._engine.dispose()
