"""The leanest honest handler: it checks the body, writes the charge, commits, and answers.

No API key, no event, no wake-up call, no request id, no limit on anything: what is left when all
that is not the row is taken away.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, Header, HTTPException
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from starlette.responses import Response

from infra.billing.contract.ids import fingerprint, id_from_key

# As many as callers at once: nobody waits for one, and PostgreSQL can commit them together.
CONNECTIONS = 32
PRODUCER = "bench"

idle: asyncio.LifoQueue[psycopg.AsyncConnection[tuple[Any, ...]]] = asyncio.LifoQueue()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    url = os.environ["LEAN_DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:")
    for _number in range(CONNECTIONS):
        # One statement, one commit, one round trip; planned once per connection.
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=0
        )
        idle.put_nowait(connection)
    yield
    while not idle.empty():
        await idle.get_nowait().close()


app = FastAPI(
    lifespan=lifespan,
    openapi_url=None,
    telemetry={"tracing": False, "metrics": False, "logs": False},
)


class ChargeRequest(BaseModel):
    amount: int
    currency: str
    customer_id: str | None = None
    payment_method_id: str | None = None
    reference: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}


@app.post("/v1/billing/charges")
async def create(asked: ChargeRequest, idempotency_key: Annotated[str, Header()]) -> Response:
    """Writes the charge as pending; 409 for a key that is there already."""
    given = asked.model_dump()
    charge_id = id_from_key("charge", producer=PRODUCER, key=idempotency_key)
    connection = await idle.get()
    try:
        cursor = await connection.execute(
            INSERT,
            (
                charge_id,
                idempotency_key,
                fingerprint(given),
                asked.amount,
                asked.currency,
                asked.customer_id,
                asked.payment_method_id,
                asked.reference,
                asked.description,
                Jsonb(asked.metadata),
            ),
        )
        row = await cursor.fetchone()
    finally:
        idle.put_nowait(connection)
    if row is None:
        raise HTTPException(409)
    created_at = row[0].astimezone(UTC).isoformat(timespec="microseconds")
    view = {
        "charge_id": charge_id,
        "object": "charge",
        "amount": asked.amount,
        "currency": asked.currency,
        "state": "pending",
        "phase": "queued",
        "customer_id": asked.customer_id,
        "payment_method_id": asked.payment_method_id,
        "price_id": None,
        "quantity": None,
        "reference": asked.reference,
        "description": asked.description,
        "metadata": asked.metadata,
        "refunded_amount": 0,
        "refund_pending_amount": 0,
        "failure_code": None,
        "failure_message": None,
        "processor": "sandbox",
        "processor_reference": None,
        "idempotency_key": idempotency_key,
        "created_at": created_at.replace("+00:00", "Z"),
        "settled_at": None,
    }
    # Not as a model: FastAPI would check and copy what stands here already.
    return Response(
        json.dumps(view, ensure_ascii=False, separators=(",", ":")),
        status_code=202,
        media_type="application/json",
    )


INSERT = f"""
insert into charges (
    id, producer, idempotency_key, fingerprint, amount, currency, customer_id, payment_method_id,
    reference, description, metadata, processor, lease_token, worker, state, phase, sequence,
    attempts, next_attempt_at, woken_at, lease_expires_at, leased_at, first_called_at
) values (
    %s, '{PRODUCER}', %s, %s, %s, %s, %s, %s,
    %s, %s, %s, 'sandbox', null, null, 'pending', 'queued', 0,
    0, now(), now(), null, null, null
) on conflict do nothing returning created_at
"""
