"""What drains ask of the database, of one endpoint and without a drainer."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from payments.webhooks.draining import drains
from payments.webhooks.draining.drains import Begin, DrainBatch, NextBatch, Record


def take(connection: Connection, endpoint_id: str, token: UUID) -> bool:
    """Whether it became the endpoint's drainer, now that whoever held its row is done."""
    (batch,) = drains.begin(connection, [Begin(endpoint_id, token, wanted=0)], waits=True)
    return batch is not None


def next_batch(
    connection: Connection, endpoint_id: str, token: UUID, **given: Any
) -> DrainBatch | None:
    """What a drainer's turn came to; None when the lease is somebody else's."""
    turn = NextBatch(endpoint_id, token, **given)
    (batch,) = drains.next_batches(connection, [turn], waits=True)
    assert not isinstance(batch, drains.Locked)
    return batch


def a_record(delivery_id: int, number: int = 1, **fields: Any) -> Record:
    """Of an attempt that was answered well, unless the fields say otherwise."""
    given_fields = {
        "state": "delivered",
        "retry_in_s": None,
        "started_ago_s": 0.1,
        "duration_ms": 100,
        "status_code": 200,
        "error": None,
        "remote_ip": "127.0.0.1",
        "response_body": None,
    }
    return Record(delivery_id, number, **(given_fields | fields))
