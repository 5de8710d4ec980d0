"""The few requests that we make of Stripe, under one version of its API."""

import atexit
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import stripe
from stripe import _util as library_log

from payments.processors.port import Order
from payments.processors.stripe.money import to_stripe
from payments.processors.stripe.transport import Line, Transport

T = TypeVar("T")

# Ours, and not what the library happens to bring: a later one may answer otherwise.
API_VERSION = "2026-10-28.endive"
API_BASE = "https://api.stripe.com"
PAGE = 100  # the most that a list gives at once

# In whose metadata our own id stands.
CHARGE_ID, REFUND_ID = "billing_charge_id", "billing_refund_id"
CAPTURE_ID = "billing_capture_id"  # in that of the PaymentIntent that it took

Object = Mapping[str, Any]


class Wire:
    """Stripe's library, on a transport of ours. `run` takes what one verb asks."""

    def __init__(self, api_key: str, *, api_base: str = API_BASE) -> None:
        _silence()
        self._line, self._transport = Line(), Transport()
        client = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base},
            # We do that ourselves, from the database: what is sent again is written down first.
            max_network_retries=0,
            http_client=self._transport,
        )
        atexit.register(self.close)
        self._intents, self._refunds = client.v1.payment_intents, client.v1.refunds
        self._charges, self._disputes = client.v1.charges, client.v1.disputes

    def run(self, call: Callable[[], Awaitable[T]], *, deadline_s: float) -> T:
        """What `call` comes to, within `deadline_s`. Raises stripe.StripeError."""
        return self._line.run(call, deadline_s=deadline_s)

    def close(self) -> None:
        """Hang up. The next call opens the line anew."""
        self._line.close(self._transport.close_async)

    async def create_intent(self, order: Order) -> tuple[Object, bool]:
        """Charge: a PaymentIntent that is made and confirmed at once; and whether Stripe repeats an
        earlier answer to the same key. Only what is asked for goes there: none of the caller's
        metadata."""
        params: dict[str, Any] = {
            "amount": to_stripe(order.amount, order.currency),
            "currency": order.currency.lower(),
            "confirm": True,
            # Nobody is there who could go through a page of the bank's.
            "off_session": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {CHARGE_ID: order.id},
        }
        named = {
            "customer": order.customer_id,
            "payment_method": order.payment_method_id,
            "description": order.description,
        }
        params |= {name: value for name, value in named.items() if value is not None}
        if order.capture == "manual":
            params["capture_method"] = "manual"
        return _answered(
            await self._intents.create_async(cast(Any, params), {"idempotency_key": order.key})
        )

    async def capture_intent(self, order: Order) -> tuple[Object, bool]:
        """Take what is set aside, or a part of it, and let go of the rest; and whether Stripe
        repeats an earlier answer to the same key."""
        params: dict[str, Any] = {
            "amount_to_capture": to_stripe(order.amount, order.currency),
            "metadata": {CAPTURE_ID: order.id},
        }
        return _answered(
            await self._intents.capture_async(
                str(order.charge_reference), cast(Any, params), {"idempotency_key": order.key}
            )
        )

    async def create_refund(self, order: Order) -> tuple[Object, bool]:
        """Give back; and whether Stripe repeats an earlier answer to the same key."""
        params: dict[str, Any] = {
            "payment_intent": order.charge_reference,
            "amount": to_stripe(order.amount, order.currency),
            "metadata": {REFUND_ID: order.id, CHARGE_ID: order.charge_id},
        }
        return _answered(
            await self._refunds.create_async(cast(Any, params), {"idempotency_key": order.key})
        )

    async def intent(self, id_: str) -> Object:
        """A PaymentIntent as it stands."""
        return _plain(await self._intents.retrieve_async(id_))

    async def latest_charge(self, intent_id: str) -> Object:
        """The last try of a PaymentIntent. A key may be good for PaymentIntents, and not for
        this."""
        intent = await self._intents.retrieve_async(intent_id, {"expand": ["latest_charge"]})
        charge: Object | None = _plain(intent).get("latest_charge")
        return charge or {}

    async def dispute(self, id_: str) -> Object:
        """A dispute as it stands, with its PaymentIntent in it."""
        return _plain(await self._disputes.retrieve_async(id_, {"expand": ["payment_intent"]}))

    async def charge(self, id_: str) -> Object:
        """A try of a PaymentIntent, with that in it, and with what it brought to our balance."""
        expand = ["payment_intent", "balance_transaction"]
        return _plain(await self._charges.retrieve_async(id_, {"expand": expand}))

    async def refund(self, id_: str) -> Object:
        """A refund as it stands, with its PaymentIntent in it."""
        return _plain(await self._refunds.retrieve_async(id_, {"expand": ["payment_intent"]}))

    async def cancel_intent(self, id_: str, reason: str) -> Object:
        """End a PaymentIntent. Under a key of its own each time: Stripe would repeat the refusal of
        an earlier try for as long as it remembers the key."""
        return _plain(
            await self._intents.cancel_async(id_, cast(Any, {"cancellation_reason": reason}))
        )

    async def intents(self, *, created_from: int, customer: str | None) -> AsyncIterator[Object]:
        """PaymentIntents, newest first, page by page; moments in Unix seconds."""
        params: dict[str, Any] = {"created": {"gte": created_from}, "limit": PAGE}
        if customer is not None:
            params["customer"] = customer
        page = await self._intents.list_async(cast(Any, params))
        async for one in page.auto_paging_iter():
            yield _plain(one)

    async def refunds(self, *, intent: str) -> AsyncIterator[Object]:
        """The refunds of a PaymentIntent, newest first, page by page."""
        page = await self._refunds.list_async({"payment_intent": intent, "limit": PAGE})
        async for one in page.auto_paging_iter():
            yield _plain(one)

    async def knock(self) -> None:
        """The cheapest request that needs a key which may do what a look-up does."""
        await self._intents.list_async({"limit": 1})


def _plain(answered: stripe.StripeObject) -> Object:
    return answered.to_dict()


def _answered(answered: stripe.StripeObject) -> tuple[Object, bool]:
    response = answered.last_response
    headers = {} if response is None else response.headers
    return _plain(answered), headers.get("Idempotent-Replayed") == "true"


def _silence() -> None:
    """The library tells its log, and standard error when STRIPE_LOG is set, what it sends and gets:
    customers, e-mail addresses, the last digits of cards. And it counts us, unless it is told not
    to."""
    logging.getLogger("stripe").setLevel(logging.WARNING)
    library_log.STRIPE_LOG = None
    stripe.enable_telemetry = False
