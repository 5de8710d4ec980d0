"""Puts a quarantined request back on its queue."""

from collections.abc import Callable
from functools import partial
from typing import Any

from kombu.serialization import dumps

from infra.billing.contract.signatures import MESSAGE_HEADER, sign_message
from payments.access import message_signatures
from payments.intake.quarantine import KeptRequest
from payments.transaction import Transaction
from worker.app import app


def send_again(transaction: Transaction, request: KeptRequest) -> None:
    """Publish it as `to_send` says."""
    to_send(transaction, request)()


def to_send(transaction: Transaction, request: KeptRequest) -> Callable[[], Any]:
    """A function that publishes it when called, and then waits for the broker.

    Under its own id, signed with its producer's key if that has one: its signature was checked
    before it was kept, and workers may require one.
    """
    producer = request.kwargs.get("producer", "default")
    keys = message_signatures.keys_of(transaction.connection, str(producer))
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    # In Celery's form: a list of three, by kombu's own JSON.
    _, _, body = dumps(([], request.kwargs, embed), serializer="json")
    # Its time limits as headers, and not as Celery's own `eta`, which has its own queues.
    headers = dict(request.headers)
    if keys:
        headers[MESSAGE_HEADER] = sign_message(
            keys[0], task=request.task, task_id=request.id, body=body.encode()
        )
    return partial(
        app.tasks[request.task].apply_async,
        args=[],
        kwargs=request.kwargs,
        task_id=request.id,
        headers=headers,
    )
