"""The HTTP server of the door."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from local.stripe_door.account import Account, new_request_id
from local.stripe_door.api import Route, route_for
from local.stripe_door.injected_faults import FIRST_EVENT_S, PLAIN, Fault
from local.stripe_door.journal import Journal
from local.stripe_door.shapes import Object
from local.stripe_door.steering import fault_for, fault_of_events
from local.stripe_door.store import Store
from local.stripe_door.wire import control_endpoints, forms, road
from local.stripe_door.wire.road import Answer
from local.stripe_door.wire.sender import Sender
from local.stripe_door.wire.stripe_errors import Refused, unauthorized

TICK_S = 0.02
STOP_S = 0.5
KEY_PREFIXES = ("sk_test_", "rk_test_")


@dataclass(frozen=True, slots=True)
class Options:
    """How it is run."""

    host: str = "127.0.0.1"
    port: int = 0
    journal: Path | None = None
    webhook_url: str | None = None
    webhook_secret: str = ""
    thin_events: bool = False
    # How long every call takes; its key is in use meanwhile.
    latency_s: float = 0.0


class Door:
    """Requests come in here, and answers and events go out."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.account = Account(Store(Journal(options.journal)))
        self.sender = Sender(
            options.webhook_url,
            options.webhook_secret,
            thin=options.thin_events,
            delivered=self._delivered,
        )

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request of Stripe's API."""
        request_id = new_request_id()
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        try:
            _authenticate(request)
            found = route_for(request.method, request.path)
            if found is None:
                raise _no_route(request)
            text = await request.text() if request.method == "POST" else request.query_string
            given = forms.decode(text)
        except Refused as refused:
            answer = Answer(refused.status, {"error": refused.error}, {"Request-Id": request_id})
            return await road.say(request, answer, PLAIN)
        route, target = found
        fault = fault_for(self.account.store, route, target, given, key)
        if fault.executes_late and self.account.has_come_before(key):
            fault = PLAIN
        answer = await self._answer(route, target, given, key, request_id, fault)
        return await road.say(request, answer, fault)

    async def _answer(
        self,
        route: Route,
        target: str,
        given: Object,
        key: str | None,
        request_id: str,
        fault: Fault,
    ) -> Answer:
        account, headers = self.account, {"Request-Id": request_id}
        if not fault.executes:
            status, error, more = fault.answer or (500, {}, {})
            answer = Answer(status, {"error": error}, {**headers, **more})
            account.note(route.method, route.path.replace("{id}", target), key, answer)
            await self.publish(PLAIN)
            return answer
        if fault.executes_late:
            account.carry_out_later(
                route, target, given, key=key, request_id=request_id, after_s=fault.number / 1000
            )
            await self.publish(PLAIN)
            return Answer(200, {}, headers)
        taken = key in account.in_use
        if not taken:
            await self._hold(key, self.options.latency_s)
        answer = account.carry_out(route, target, given, key=key, request_id=request_id)
        await self.publish(fault)
        if fault.waits and not taken:
            await self._hold(key, fault.number / 1000)
        if fault.answer is not None:
            status, error, more = fault.answer
            return Answer(status, {"error": error}, {**answer.headers, **more})
        return answer

    async def _hold(self, key: str | None, wait_s: float) -> None:
        """Let so much time pass, with the key in use."""
        if not wait_s:
            return
        if key is not None:
            self.account.in_use.add(key)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self.account.in_use.discard(key or "")

    async def publish(self, fault: Fault) -> None:
        """Write what happened, and send its events."""
        events = self.account.store.commit()
        if fault.events == "first":
            try:
                await asyncio.wait_for(self.sender.send(events, fault), FIRST_EVENT_S)
            except TimeoutError:
                pass  # a slow receiver of events gets the answer first
        else:
            await self.sender.send(events, fault)

    async def tick(self) -> None:
        """Let time pass, for ever."""
        store = self.account.store
        while True:
            self.account.let_time_pass()
            for event in store.commit():
                await self.sender.send([event], fault_of_events(store, event))
            await asyncio.sleep(TICK_S)

    async def send_what_waits(self) -> None:
        """Events that were not delivered before a stop."""
        for event in self.account.store.shelf("event"):
            if event["pending_webhooks"]:
                await self.sender.send([event], PLAIN)

    def _delivered(self, event_id: str) -> None:
        store = self.account.store
        event = store.get("event", event_id)
        if event is not None and event["pending_webhooks"]:
            store.put({**event, "pending_webhooks": 0})
            # Written with the next line: to send it once more after a crash is no harm.


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[tuple[Door, str]]:
    """A door that is open until the end of the `with`, and its URL."""
    door = Door(options)
    app = web.Application(client_max_size=2**20)
    closing = app[road.CLOSING] = asyncio.Event()
    control_endpoints.add_routes(app, door.account, door.publish)
    app.router.add_route("*", "/v1/{rest:.*}", door.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    await site.start()
    port = runner.addresses[0][1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = door.account.url = f"http://{host}:{port}"
    ticking = asyncio.get_running_loop().create_task(door.tick())
    try:
        await door.send_what_waits()
        yield door, url
    finally:
        closing.set()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await door.sender.close()
        await runner.cleanup()
        door.account.store.commit()
        door.account.store.close()


def _authenticate(request: web.Request) -> None:
    """Raises Refused for anything but a test key."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise unauthorized(None)
    if not key.startswith(KEY_PREFIXES):
        raise unauthorized(f"{key[:3]}********")


def _no_route(request: web.Request) -> Refused:
    message = (
        f"Unrecognized request URL ({request.method}: {request.path}). Please see"
        " https://stripe.com/docs or we can help at https://support.stripe.com/."
    )
    return Refused(404, {"type": "invalid_request_error", "message": message})
