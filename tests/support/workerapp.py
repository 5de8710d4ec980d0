"""A Celery app as the real one is made, with a task and a sink that write to files.

Started by tests as `celery -A tests.support.workerapp worker`. BROKER and OUT come from the
environment; OUT is a folder that gets `calls` and `quarantine`, one JSON object per line.
"""

import base64
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from celery import Celery, signals

from service import log
from service.broker import celery_config
from service.running import waiting_for_database
from tests.support.waiting import wait_for
from worker import guard, watchdog
from worker.task_request import BillingTask
from worker.transport import redis_transport

OUT = Path(os.environ["OUT"])
_lock = threading.Lock()


def _write(name: str, **line) -> None:
    with _lock, (OUT / name).open("a") as file:
        file.write(json.dumps(line) + "\n")


def quarantine(
    raw: bytes, *, queue: str, reason: str, headers: dict | None, size: int | None = None
) -> str:
    if (OUT / "sink_is_down").exists():
        _write("sink_calls", reason=reason)
        raise ConnectionError("the database is away")
    sent = base64.b64encode(raw[:2000]).decode()
    _write("quarantine", raw=sent, size=size, queue=queue, reason=reason, headers=headers)
    return hashlib.sha256(raw).hexdigest()


settings = SimpleNamespace(
    broker_url=os.environ["BROKER"],
    slots=int(os.environ.get("SLOTS", "4")),
    shutdown_s=2.0,
    lease_s=float(os.environ.get("LEASE_S", "25")),
    extra_queues=os.environ.get("EXTRA_QUEUES", "").split(),
)
redis_transport.register()
app = Celery("billing", task_cls=BillingTask)
app.conf.update(celery_config.configuration(settings))
for name in os.environ.get("UNSAFE", "").split():
    app.conf[name] = {"worker_prefetch_multiplier": 4, "task_acks_late": False}[name]
app.handlers = SimpleNamespace(quarantine=quarantine)
guard.install(app)
watchdog.install(
    app,
    task_limit_s=float(os.environ.get("TASK_LIMIT_S", "120")),
    stall_limit_s=float(os.environ.get("STALL_LIMIT_S", "60")),
)
log.configure("console")


@signals.task_received.connect
def _block_the_event_loop(request, **_) -> None:
    time.sleep(request.kwargs.get("block_loop_s", 0))


@app.task(name="billing.charge.create")
def create(**kwargs):
    if seconds := kwargs.get("sleep_s"):
        time.sleep(seconds)
    if name := kwargs.get("until"):
        wait_for((OUT / name).exists, what=f"the file {name}")
    if seconds := kwargs.get("wait_s"):
        with waiting_for_database():
            time.sleep(seconds)
    if kwargs.get("bug"):
        raise ValueError(kwargs["bug"])
    _write("calls", id=create.request.id, kwargs=kwargs)
    return {"charge_id": "ch_1", "state": "succeeded"}


@app.task(name="billing.refund.create")
def refund(**kwargs):
    _write("calls", id=refund.request.id, task="refund")
