"""A request that was kept from being carried out goes back on its queue."""

from collections.abc import Callable
from functools import partial
from typing import Any

from kombu.serialization import dumps

from infra.billing.contract.signatures import MESSAGE_HEADER, sign_message
from payments.access import signatures
from payments.intake.quarantine import KeptRequest
from payments.transaction import Transaction
from worker.app import app


def send_again(transaction: Transaction, request: KeptRequest) -> None:
    """Publish it as `to_send` says."""
    to_send(transaction, request)()


def to_send(transaction: Transaction, request: KeptRequest) -> Callable[[], Any]:
    """What publishes it, once it is called: it waits for the broker.

    Under its id, signed with its producer's key if that has one: it was found right before it was
    kept, and workers may want no others.
    """
    producer = request.kwargs.get("producer", "default")
    keys = signatures.keys_of(transaction.connection, str(producer))
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    # As Celery writes it: a list of three, by kombu's own JSON.
    _, _, body = dumps(([], request.kwargs, embed), serializer="json")
    # What it said of time as headers, and not as Celery's own `eta`, which has queues of its own.
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
