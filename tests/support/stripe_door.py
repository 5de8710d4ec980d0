"""The stand-in for Stripe in tests: on a thread of this process, or as a process of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
import stripe
import urllib3

from local.stripe_door.wire.stripe_door_server import Options, running
from tests.support.waiting import patience_s, wait_for

SECRET = "whsec_of_the_tests"
Error = TypeVar("Error", bound=Exception)
KEY = "sk_test_of_the_tests"


@dataclass(frozen=True)
class Door:
    """An open door, and what only somebody on its side of the road can do and see."""

    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: Any) -> stripe.StripeClient:
        """Stripe's own library, as a service would use it, without tries of its own."""
        return client_at(self.url, **options)

    def movements(self, **fields: Any) -> list[Any]:
        """What moved; `metadata` is a dict."""
        query: dict[str, Any] = {}
        for name, value in fields.items():
            if isinstance(value, dict):
                query |= {f"{name}[{key}]": one for key, one in value.items()}
            else:
                query[name] = value
        return list(self._call("GET", "movements", query))

    def requests(self) -> list[Any]:
        """What was asked, in the order in which it was carried out."""
        return list(self._call("GET", "requests"))

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self._call("POST", "clock", {"seconds": seconds})

    def pay_out(self) -> list[Any]:
        return list(self._call("POST", "payouts"))

    def customer_says(self, intent_id: str, outcome: str) -> urllib3.BaseHTTPResponse:
        """The customer answers the bank's page."""
        return urllib3.request(
            "POST",
            f"{self.url}/_door/authenticate/{intent_id}",
            body=f"outcome={outcome}",
            redirect=False,
        )

    def _call(self, method: str, name: str, fields: dict[str, Any] | None = None) -> Any:
        query = urlencode(fields or {})
        given = {"url": f"?{query}", "body": ""} if method == "GET" else {"url": "", "body": query}
        url = f"{self.url}/_door/{name}{given['url']}"
        answer = urllib3.request(method, url, body=given["body"], retries=False)
        assert answer.status == 200, answer.data
        return answer.json()


def client_at(url: str, **options: Any) -> stripe.StripeClient:
    """Stripe's own library, talking to whoever is at `url`."""
    given = {"base_addresses": {"api": url}, "max_network_retries": 0, **options}
    given.setdefault("http_client", stripe.RequestsClient(timeout=patience_s()))
    return stripe.StripeClient(KEY, **given)


@contextmanager
def stripe_door(
    *, journal: Path | None = None, webhook_url: str | None = None, **more: Any
) -> Iterator[Door]:
    """A door on a free port of 127.0.0.1, until the end of the `with`."""
    options = replace(
        Options(journal=journal, webhook_url=webhook_url, webhook_secret=SECRET), **more
    )
    opened: list[str] = []
    failed: list[BaseException] = []
    loop, closing = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with running(options) as (_, url):
            opened.append(url)
            await closing.wait()

    def run() -> None:
        try:
            # Ends what callers are kept waiting with, too: left to the garbage, it would be told in
            # the middle of another test.
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())
        except BaseException as error:  # noqa: BLE001  # told by the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name="stripe-door", daemon=True)
    thread.start()
    try:
        wait_for(lambda: bool(opened or failed), what="the door to open")
        if failed:
            raise failed[0]
        yield Door(opened[0])
    finally:
        if opened:
            loop.call_soon_threadsafe(closing.set)
        thread.join(patience_s())
        assert not thread.is_alive(), "the door did not close"
        if failed:
            raise failed[0]


def raised(kind: type[Error], call: Callable[..., object], *args: Any, **named: Any) -> Error:
    """The error that the call ends with."""
    with pytest.raises(kind) as caught:
        call(*args, **named)
    return caught.value


def pay(
    client: stripe.StripeClient, method: str = "pm_card_visa", **params: Any
) -> stripe.PaymentIntent:
    given = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    return client.v1.payment_intents.create({**given, **params})  # type: ignore[arg-type]


def directions(door: Door, intent: stripe.PaymentIntent) -> list[tuple[str, int]]:
    moved = door.movements(payment_intent=intent.id)
    return [(one["direction"], one["amount"]) for one in moved]
