"""The broker and its two tasks, as TaskIQ's documentation writes them: streams of Redis, which
acknowledge; state made on start-up; a pool of connections; a pooled HTTP client.

Runs in the virtual environment of `benchmarks/tools.lock`, so it imports nothing of ours. Plain SQL
where the plain way has models: in TaskIQ's favour.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import aiohttp
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

LATENCY_S = float(os.environ["RIVAL_LATENCY_MS"]) / 1000
SECRET = base64.b64decode(os.environ["RIVAL_SECRET"].removeprefix("whsec_"))

broker = RedisStreamBroker(os.environ["RIVAL_BROKER_URL"])


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def startup(state: TaskiqState) -> None:
    url = os.environ["RIVAL_DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:")
    state.pool = AsyncConnectionPool(url, min_size=4, max_size=16, open=False)
    await state.pool.open(wait=True)
    state.http = aiohttp.ClientSession()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def shutdown(state: TaskiqState) -> None:
    await state.http.close()
    await state.pool.close()


@broker.task("charge.create")
async def charge_create(
    amount: int,
    currency: str,
    idempotency_key: str,
    customer_id: str | None = None,
    payment_method_id: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    producer: str | None = None,
    context: Annotated[Context, TaskiqDepends()] = None,  # type: ignore[assignment]
) -> None:
    """Writes the charge, calls the processor, writes what came of it, and asks for the webhook."""
    pool = context.state.pool
    charge_id = f"ch_{uuid4().hex}"
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "insert into charges (id, producer, idempotency_key, amount, currency, customer_id,"
            " payment_method_id, description, metadata) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict do nothing returning created_at",
            (charge_id, producer, idempotency_key, amount, currency, customer_id,
             payment_method_id, description, Jsonb(metadata or {})),
        )  # fmt: skip
        accepted = await cursor.fetchone()
    if accepted is None:
        return  # a repeat of the key; the first one goes on

    reference = await call_processor()

    settled_at = datetime.now(UTC)
    event_id = f"evt_{uuid4().hex}"
    body = json.dumps(
        {
            "type": "charge.succeeded",
            "timestamp": settled_at.isoformat(),
            "data": {
                "charge_id": charge_id,
                "object": "charge",
                "amount": amount,
                "currency": currency,
                "state": "succeeded",
                "customer_id": customer_id,
                "payment_method_id": payment_method_id,
                "description": description,
                "metadata": metadata or {},
                "processor_reference": reference,
                "idempotency_key": idempotency_key,
                "created_at": accepted[0].isoformat(),
                "settled_at": settled_at.isoformat(),
            },
        }
    )
    async with pool.connection() as connection:
        await connection.execute(
            "update charges set state = 'succeeded', processor_reference = %s, settled_at = %s"
            " where id = %s",
            (reference, settled_at, charge_id),
        )
        await connection.execute(
            "insert into events (id, charge_id, body) values (%s, %s, %s)",
            (event_id, charge_id, body),
        )
    await webhook_deliver.kiq(event_id)


@broker.task("webhook.deliver")
async def webhook_deliver(
    event_id: str,
    context: Annotated[Context, TaskiqDepends()] = None,  # type: ignore[assignment]
) -> None:
    """Posts one event to the endpoint, signed, and records that it has arrived."""
    async with context.state.pool.connection() as connection:
        cursor = await connection.execute("select body from events where id = %s", (event_id,))
        (text,) = await cursor.fetchone()
    body = text.encode()
    async with context.state.http.post(
        os.environ["RIVAL_RECEIVER_URL"], data=body, headers=signed(event_id, body)
    ) as answer:
        answer.raise_for_status()
    async with context.state.pool.connection() as connection:
        await connection.execute(
            "insert into deliveries (event_id, status) values (%s, %s)", (event_id, answer.status)
        )


async def call_processor() -> str:
    """The processor: takes its time, and says yes. It keeps no ledger."""
    if LATENCY_S:
        await asyncio.sleep(LATENCY_S)
    return f"proc_{uuid4().hex}"


def signed(event_id: str, body: bytes) -> dict[str, Any]:
    """The headers of Standard Webhooks."""
    timestamp = str(int(time.time()))
    content = f"{event_id}.{timestamp}.".encode() + body
    digest = hmac.digest(SECRET, content, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
