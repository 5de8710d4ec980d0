"""The plain way's Celery app: stock settings, but for what the manuals advise for such work."""

import os

import httpx
from celery import Celery
from celery.signals import worker_process_init
from sqlalchemy import Engine
from sqlmodel import create_engine

app = Celery("plain", broker=os.environ["PLAIN_BROKER_URL"])
app.conf.update(
    task_acks_late=True,  # Celery's advice for tasks that are idempotent
    task_ignore_result=True,  # nobody reads them
    broker_connection_retry_on_startup=True,
    imports=["benchmarks.plain.tasks"],
)
LATENCY_S = float(os.environ["PLAIN_LATENCY_MS"]) / 1000

engine: Engine
http: httpx.Client


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def connect(**_: object) -> None:
    """An engine and a pooled HTTP client per process, made after the fork.

    So says SQLAlchemy ("Using Connection Pools with Multiprocessing"), and so httpx: a client per
    request costs over 30 ms of CPU for its TLS context alone.
    """
    global engine, http  # noqa: PLW0603 - what Celery's own examples do with this signal
    engine = create_engine(os.environ["PLAIN_DATABASE_URL"])
    http = httpx.Client(timeout=10)
