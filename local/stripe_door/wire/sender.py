"""Events on their way to the webhook URL: signed, tried again, and as a fault wishes."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp

from local.stripe_door.injected_faults import Fault
from local.stripe_door.shapes import Object, shown

TIMEOUT_S = 10.0
# Stripe retries for three days, more and more slowly; that is too long for tests.
RETRIES_AFTER_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[60.0] * 30)


class Sender:
    """Posts events. `delivered` is called with the id of each that was taken."""

    def __init__(
        self,
        url: str | None,
        secret: str,
        *,
        thin: bool = False,
        delivered: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._url = url
        self._secret = secret
        self._thin = thin
        self._delivered = delivered
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, events: Sequence[Object], fault: Fault) -> None:
        """Send what happened in one request, in this order, unless `fault` has it otherwise.
        Returns when each was tried once if they are to come first, else at once."""
        if self._url is None or not events:
            return
        match fault.events:
            case "first":
                for event in events:
                    await self._try(event, 0)
            case "never":
                for event in events:
                    self._delivered(event["id"])
            case "reversed":
                self._begin(self._all(list(reversed(events))))
            case "twice":
                self._begin(self._all([event for event in events for _ in range(2)]))
            case "late":
                self._begin(self._all(events, after_s=fault.number / 1000))
            case _:
                self._begin(self._all(events))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _all(self, events: Sequence[Object], *, after_s: float = 0.0) -> None:
        await asyncio.sleep(after_s)
        for event in events:
            await self._try(event, 0)

    async def _try(self, event: Object, tries: int) -> None:
        """Post it once; what is not taken is tried again later, by itself."""
        if await self._post(event):
            self._delivered(event["id"])
        elif tries < len(RETRIES_AFTER_S):
            self._begin(self._again(event, tries))

    async def _again(self, event: Object, tries: int) -> None:
        await asyncio.sleep(RETRIES_AFTER_S[tries])
        await self._try(event, tries + 1)

    async def _post(self, event: Object) -> bool:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False
            )
        body = json.dumps(thin(event) if self._thin else shown(event), indent=2).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, self._secret, int(time.time())),
        }
        assert self._url is not None, "nothing is sent without a URL"
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def signature(body: bytes, secret: str, timestamp: int) -> str:
    """The signature header (docs.stripe.com/webhooks/signatures)."""
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def thin(event: Object) -> Object:
    """The same event without the object (docs.stripe.com/event-destinations, thin events)."""
    about = event["data"]["object"]
    return {
        "id": f"{event['id']}thin",
        "object": "v2.core.event",
        "type": f"v1.{event['type']}",
        "livemode": False,
        "created": datetime.fromtimestamp(event["created"], UTC).isoformat().replace("+00:00", "Z"),
        "context": None,
        "changes": None,
        "reason": {"type": "request", "request": event["request"]},
        "related_object": {
            "id": about["id"],
            "type": about["object"],
            "url": f"/v1/{about['object']}s/{about['id']}",
        },
        "snapshot_event": event["id"],
    }
