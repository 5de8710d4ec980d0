"""What Stripe has no endpoint for: what moved, what was asked, time, and the customer's part."""

import html
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web

from local.stripe_door.account import Account
from local.stripe_door.injected_faults import PLAIN, Fault
from local.stripe_door.objects import balance, confirming, payment_intents
from local.stripe_door.shapes import Object, shown
from local.stripe_door.wire import forms
from local.stripe_door.wire.stripe_errors import Refused, invalid

Publish = Callable[[Fault], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PAGE = """<!doctype html><title>Authenticate</title>
<form method=post><p>Your bank asks: is it you who pays {amount} {currency}?</p>
<button name=outcome value=succeed>Yes</button> <button name=outcome value=fail>No</button></form>
"""


def add_routes(app: web.Application, account: Account, publish: Publish) -> None:
    """Put them below `/_door/`."""
    store = account.store

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def movements(request: web.Request) -> web.Response:
        """Everything that moved, or what has all the fields that are asked for."""
        wanted = forms.decode(request.query_string)
        return web.json_response([one for one in store.movements if _has(one, wanted)])

    async def requests(_: web.Request) -> web.Response:
        return web.json_response(list(account.log))

    async def clock(request: web.Request) -> web.Response:
        """Let `seconds` pass."""
        given = forms.read(
            forms.decode(await request.text()), {"seconds": forms.whole}, required=("seconds",)
        )
        if given["seconds"] < 0:
            raise invalid("Time does not go back.", param="seconds")
        ahead_s = store.tables["facts"].get("ahead_s", 0.0) + given["seconds"]
        store.set("facts", "ahead_s", ahead_s)
        account.let_time_pass()
        await publish(PLAIN)
        return web.json_response({"now": store.now})

    async def payouts(_: web.Request) -> web.Response:
        """Pay out what is available."""
        made = balance.pay_out(account.request())
        await publish(PLAIN)
        return web.json_response([shown(one) for one in made])

    async def plant(request: web.Request) -> web.Response:
        """Keep an object as it is given, new or in the place of another: a record that differs."""
        made = await request.json()
        before = store.get(made["object"], made["id"]) or {}
        store.put({**before, **made})
        await publish(PLAIN)
        return web.json_response(shown(store.get(made["object"], made["id"])))

    async def ask(request: web.Request) -> web.Response:
        intent = payment_intents.found(store, request.match_info["id"])
        page = _PAGE.format(amount=intent["amount"], currency=html.escape(intent["currency"]))
        return web.Response(text=page, content_type="text/html")

    async def authenticate(request: web.Request) -> web.Response:
        """The customer's answer, `outcome=succeed` or `fail`; then back to the shop."""
        intent = payment_intents.found(store, request.match_info["id"])
        given = forms.read(
            forms.decode(await request.text()),
            {"outcome": forms.either("succeed", "fail")},
            required=("outcome",),
        )
        if intent["status"] != "requires_action":
            raise invalid(f"This PaymentIntent has a status of {intent['status']}.")
        passes = given["outcome"] == "succeed"
        confirming.authenticated(account.request(), intent, passes=passes)
        await publish(PLAIN)
        return _back(intent, passes=passes)

    routes: dict[tuple[str, str], Handler] = {
        ("GET", "health"): health,
        ("GET", "movements"): movements,
        ("GET", "requests"): requests,
        ("POST", "clock"): clock,
        ("POST", "payouts"): payouts,
        ("POST", "objects"): plant,
        ("GET", "authenticate/{id}"): ask,
        ("POST", "authenticate/{id}"): authenticate,
    }
    for (method, name), handler in routes.items():
        app.router.add_route(method, f"/_door/{name}", _refusing(handler))


def _refusing(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return web.json_response({"error": refused.error}, status=refused.status)

    return handle


def _has(movement: Object, wanted: Object) -> bool:
    return all(
        _has(movement[name], value) if isinstance(value, dict) else str(movement.get(name)) == value
        for name, value in wanted.items()
        if isinstance(value, str) or name in movement
    )


def _back(intent: Object, *, passes: bool) -> web.Response:
    if not (return_url := intent.get("_return_url")):
        return web.json_response(shown(intent))
    query = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if passes else "failed",
        }
    )
    joined = f"{return_url}{'&' if '?' in return_url else '?'}{query}"
    return web.Response(status=302, headers={"Location": joined})
