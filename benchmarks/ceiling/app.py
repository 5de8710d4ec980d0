"""One process, one event loop: takes what waits, charges it, and posts what came of it.

What separates it from the plain way is that commits and round trips are shared: up to 64 messages
are fetched at once and become one INSERT; what settles or is delivered meanwhile becomes one
statement more. What it does not have: a lease, an attempt, a retry, a sweep. A kill loses what it
had fetched, and a charge that was under way stays pending for ever.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import uuid4

import aiohttp
import orjson
import psycopg
import redis.asyncio
import uvloop

from infra.billing.contract.signatures import key_of, signed_headers

QUEUE = "charges"
BATCH = 64
IN_FLIGHT = 200

Item = TypeVar("Item")


class Group(Generic[Item]):
    """A group commit: what arrives while one batch is written is the next batch."""

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> "asyncio.Future[None]":
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        return done

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            await self._write([item for item, _ in batch])
            for _, done in batch:
                done.set_result(None)
        self._writing = None


class Worker:
    """Everything it needs, and one way for all charges."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        broker: "redis.asyncio.Redis[bytes]",
        connections: Sequence[psycopg.AsyncConnection[Any]],
    ) -> None:
        self._http, self._broker = http, broker
        self._accepting, self._settling, self._recording = connections
        self._settle: Group[dict[str, Any]] = Group(self._write_settled)
        self._record: Group[tuple[str, int]] = Group(self._write_delivered)
        self._url = os.environ["CEILING_RECEIVER_URL"]
        self._keys = [key_of(os.environ["CEILING_SECRET"])]
        self._latency_s = float(os.environ["CEILING_LATENCY_MS"]) / 1000
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        tasks = set()
        while True:
            charges = [orjson.loads(message) for message in await self._fetch()]
            for charge in await self._accept(charges):
                await self._slots.acquire()
                task = asyncio.create_task(self._carry_out(charge))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    async def _fetch(self) -> list[bytes]:
        """What waits, up to a batch of it; the first that comes, when none does."""
        if waiting := await self._broker.rpop(QUEUE, BATCH):
            return list(waiting)
        _, first = await self._broker.brpop([QUEUE])
        return [first]

    async def _accept(self, charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Writes them as pending, in one commit; those whose key was there already are left out."""
        for charge in charges:
            charge["id"] = f"ch_{uuid4().hex}"
        rows = await self._accepting.execute(ACCEPT, (orjson.dumps(charges).decode(),))
        created_at = {row[0]: row[1] async for row in rows}
        for charge in charges:
            charge["created_at"] = created_at.get(charge["id"])
        return [charge for charge in charges if charge["created_at"]]

    async def _carry_out(self, charge: dict[str, Any]) -> None:
        try:
            charge["processor_reference"] = await self._call_processor()
            charge["settled_at"] = datetime.now(UTC)
            charge["event_id"] = f"evt_{uuid4().hex}"
            charge["body"] = body = orjson.dumps(event_of(charge))
            await self._settle.submit(charge)
            headers = signed_headers(
                self._keys, webhook_id=charge["event_id"], timestamp=int(time.time()), body=body
            )
            headers["content-type"] = "application/json"
            async with self._http.post(self._url, data=body, headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()
                await self._record.submit((charge["event_id"], answer.status))
        finally:
            self._slots.release()

    async def _call_processor(self) -> str:
        """The processor: takes its time, and says yes. It keeps no ledger."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        return f"proc_{uuid4().hex}"

    async def _write_settled(self, charges: Sequence[dict[str, Any]]) -> None:
        await self._settling.execute(
            SETTLE,
            (
                [charge["id"] for charge in charges],
                [charge["processor_reference"] for charge in charges],
                [charge["settled_at"] for charge in charges],
                [charge["event_id"] for charge in charges],
                [charge["body"].decode() for charge in charges],
            ),
        )

    async def _write_delivered(self, delivered: Sequence[tuple[str, int]]) -> None:
        ids, statuses = zip(*delivered, strict=True)
        await self._recording.execute(RECORD, (list(ids), list(statuses)))


def event_of(charge: dict[str, Any]) -> dict[str, Any]:
    """What the webhook says."""
    return {
        "type": "charge.succeeded",
        "timestamp": charge["settled_at"],
        "data": {
            "charge_id": charge["id"],
            "object": "charge",
            "amount": charge["amount"],
            "currency": charge["currency"],
            "state": "succeeded",
            "customer_id": charge["customer_id"],
            "payment_method_id": charge["payment_method_id"],
            "description": charge["description"],
            "metadata": charge["metadata"],
            "processor_reference": charge["processor_reference"],
            "idempotency_key": charge["idempotency_key"],
            "created_at": charge["created_at"],
            "settled_at": charge["settled_at"],
        },
    }


# Autocommit: each statement is a transaction, a commit and one round trip.
ACCEPT = """
insert into charges (id, producer, idempotency_key, amount, currency, customer_id,
                     payment_method_id, description, metadata)
select id, producer, idempotency_key, amount, currency, customer_id, payment_method_id,
       description, metadata
from jsonb_to_recordset(%s::jsonb) as c (
    id text, producer text, idempotency_key text, amount bigint, currency text, customer_id text,
    payment_method_id text, description text, metadata jsonb)
on conflict do nothing returning id, created_at
"""
SETTLE = """
with asked as (
    select * from unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[])
        as a (id, reference, settled_at, event_id, body)
), settled as (
    update charges set state = 'succeeded', processor_reference = asked.reference,
        settled_at = asked.settled_at
    from asked where charges.id = asked.id
)
insert into events (id, charge_id, body) select event_id, id, body from asked
"""
RECORD = """
insert into deliveries (event_id, status) select * from unnest(%s::text[], %s::int[])
"""


async def main() -> None:
    url = os.environ["CEILING_DATABASE_URL"].replace("postgresql+psycopg:", "postgresql:")
    connections = [
        await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0)
        for _step in range(3)
    ]
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        redis.asyncio.Redis.from_url(
            os.environ["CEILING_BROKER_URL"], socket_timeout=None
        ) as broker,
    ):
        await Worker(http, broker, connections).run()


if __name__ == "__main__":
    uvloop.run(main())
