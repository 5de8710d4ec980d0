"""The few requests that we make to Stripe, under one version of its API."""

import atexit
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import stripe
from stripe import _util as library_log

from payments.processors.port import Order
from payments.processors.stripe.stripe_amounts import to_stripe
from payments.processors.stripe.stripe_transport import Line, Transport

T = TypeVar("T")

# Fixed here, and not the library's default: a later version may answer differently.
API_VERSION = "2026-10-28.endive"
API_BASE = "https://api.stripe.com"
PAGE = 100  # the maximum of a list

# The keys of our ids in metadata.
CHARGE_ID, REFUND_ID = "billing_charge_id", "billing_refund_id"
CAPTURE_ID = "billing_capture_id"  # on the PaymentIntent that it captured
INSTALLATION = "billing_installation"  # whose object it is, beside each of them

Object = Mapping[str, Any]


class Wire:
    """Stripe's library, on our transport. `run` runs the requests of one verb."""

    def __init__(
        self, api_key: str, *, api_base: str = API_BASE, multicapture: bool = False
    ) -> None:
        _silence()
        self._multicapture = multicapture
        self._line, self._transport = Line(), Transport()
        client = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base},
            # We retry ourselves, from the database: what is sent again is written down first.
            max_network_retries=0,
            http_client=self._transport,
        )
        atexit.register(self.close)
        self._intents, self._refunds = client.v1.payment_intents, client.v1.refunds
        self._charges, self._disputes = client.v1.charges, client.v1.disputes
        self._entries = client.v1.balance_transactions

    def run(self, call: Callable[[], Awaitable[T]], *, deadline_s: float) -> T:
        """The result of `call`, within `deadline_s`. Raises stripe.StripeError."""
        return self._line.run(call, deadline_s=deadline_s)

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        self._line.close(self._transport.close_async)

    async def create_intent(self, order: Order, name: str | None) -> tuple[Object, bool]:
        """Charge: a PaymentIntent that is created and confirmed at once; and whether Stripe repeats
        an earlier answer to the same key. Only what is needed is sent: none of the caller's
        metadata. `name` is our installation's."""
        params: dict[str, Any] = {
            "amount": to_stripe(order.amount, order.currency),
            "currency": order.currency.lower(),
            "confirm": True,
            "metadata": _signed({CHARGE_ID: order.id}, name),
            **_session(order),
        }
        named = {
            "customer": order.customer_id,
            "payment_method": order.payment_method_id,
            "description": order.description,
            "receipt_email": order.receipt_email,
            # Follows the account's own prefix. `statement_descriptor` is an error for cards:
            # https://docs.stripe.com/api/payment_intents/create
            "statement_descriptor_suffix": order.statement_descriptor,
        }
        params |= {name: value for name, value in named.items() if value is not None}
        if order.capture == "manual":
            params["capture_method"] = "manual"
            if self._multicapture:
                card = {"request_multicapture": "if_available"}
                params["payment_method_options"] = {"card": card}
        return _answered(await self._intents.create_async(cast(Any, params), _once(order, name)))

    async def capture_intent(self, order: Order, name: str | None) -> tuple[Object, bool]:
        """Capture what is authorized, or a part of it, and release the rest unless more captures
        follow; and whether Stripe repeats an earlier answer to the same key."""
        params: dict[str, Any] = {
            "amount_to_capture": to_stripe(order.amount, order.currency),
            "metadata": _signed({CAPTURE_ID: order.id}, name),
        }
        if not order.final:  # only accounts with multicapture may send this, even `true`
            params["final_capture"] = False
        return _answered(
            await self._intents.capture_async(
                str(order.charge_reference), cast(Any, params), _once(order, name)
            )
        )

    async def create_refund(self, order: Order, name: str | None) -> tuple[Object, bool]:
        """Refund; and whether Stripe repeats an earlier answer to the same key."""
        params: dict[str, Any] = {
            "payment_intent": order.charge_reference,
            "amount": to_stripe(order.amount, order.currency),
            "metadata": _signed({REFUND_ID: order.id, CHARGE_ID: order.charge_id}, name),
        }
        return _answered(await self._refunds.create_async(cast(Any, params), _once(order, name)))

    async def intent(self, id_: str) -> Object:
        """A PaymentIntent in its present state."""
        return _plain(await self._intents.retrieve_async(id_))

    async def latest_charge(self, intent_id: str) -> Object:
        """The last Charge of a PaymentIntent. A key may have access to PaymentIntents, but not to
        this."""
        intent = await self._intents.retrieve_async(intent_id, {"expand": ["latest_charge"]})
        charge: Object | None = _plain(intent).get("latest_charge")
        return charge or {}

    async def dispute(self, id_: str) -> Object:
        """A dispute in its present state, including its PaymentIntent."""
        return _plain(await self._disputes.retrieve_async(id_, {"expand": ["payment_intent"]}))

    async def charge(self, id_: str) -> Object:
        """A Charge, including its PaymentIntent and its balance transaction."""
        expand = ["payment_intent", "balance_transaction"]
        return _plain(await self._charges.retrieve_async(id_, {"expand": expand}))

    async def refund(self, id_: str) -> Object:
        """A refund in its present state, including its PaymentIntent."""
        return _plain(await self._refunds.retrieve_async(id_, {"expand": ["payment_intent"]}))

    async def cancel_intent(self, id_: str, reason: str) -> Object:
        """End a PaymentIntent. With a new key each time: Stripe would repeat the refusal of an
        earlier try for as long as it remembers the key."""
        return _plain(
            await self._intents.cancel_async(id_, cast(Any, {"cancellation_reason": reason}))
        )

    async def release_intent(self, id_: str) -> Object:
        """Release the rest of a PaymentIntent of which something was captured. With a new key each
        time, like a cancellation."""
        params: dict[str, Any] = {"amount_to_capture": 0, "final_capture": True}
        return _plain(await self._intents.capture_async(id_, cast(Any, params)))

    async def intents(
        self, begin: int, end: int, *, customer: str | None, after: str | None = None
    ) -> tuple[list[Object], bool]:
        """A page of the PaymentIntents that were created from one moment to another (exclusive; in
        Unix seconds), newest first, after `after`; and whether there are more."""
        params: dict[str, Any] = {"created": {"gte": begin, "lt": end}, "limit": PAGE}
        named = {"customer": customer, "starting_after": after}
        params |= {name: value for name, value in named.items() if value is not None}
        page = await self._intents.list_async(cast(Any, params))
        return [_plain(one) for one in page.data], page.has_more

    async def refunds(self, *, intent: str) -> AsyncIterator[Object]:
        """The refunds of a PaymentIntent, newest first, page by page."""
        page = await self._refunds.list_async({"payment_intent": intent, "limit": PAGE})
        async for one in page.auto_paging_iter():
            yield _plain(one)

    async def entries(self, narrowed: Mapping[str, Any]) -> tuple[list[Object], bool]:
        """A page of the lines of our balance, newest first, each including its object; and whether
        there are more."""
        params = {name: value for name, value in narrowed.items() if value is not None}
        params |= {"limit": PAGE, "expand": ["data.source"]}
        page = await self._entries.list_async(cast(Any, params))
        return [_plain(one) for one in page.data], page.has_more

    async def knock(self) -> None:
        """The cheapest request for which a key needs the permissions of a look-up."""
        await self._intents.list_async({"limit": 1})


def _session(order: Order) -> dict[str, Any]:
    """Whether the customer is present: then Stripe may send them to a page, and returns its URL
    (`redirect_to_url`), as it does unless a client says that it uses Stripe's scripts
    (https://docs.stripe.com/api/payment_intents/create: `return_url`, `use_stripe_sdk`)."""
    if order.return_url is None:
        # The customer is absent, and can't go through a page of the bank.
        return {
            "off_session": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    return {
        "return_url": order.return_url,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "always"},
    }


def _signed(metadata: Mapping[str, str | None], name: str | None) -> Mapping[str, str | None]:
    return metadata if name is None else {**metadata, INSTALLATION: name}


def _once(order: Order, name: str | None) -> Any:
    """With the name, as two installations may have the same ids, and so the same keys."""
    return {"idempotency_key": order.key if name is None else f"{name}:{order.key}"}


def _plain(answered: stripe.StripeObject) -> Object:
    return answered.to_dict()


def _answered(answered: stripe.StripeObject) -> tuple[Object, bool]:
    response = answered.last_response
    headers = {} if response is None else response.headers
    return _plain(answered), headers.get("Idempotent-Replayed") == "true"


def _silence() -> None:
    """Turn off the library's logging of what it sends and gets (to standard error with STRIPE_LOG):
    customers, e-mail addresses, the last digits of cards. And its telemetry, which is on by
    default."""
    logging.getLogger("stripe").setLevel(logging.WARNING)
    library_log.STRIPE_LOG = None
    stripe.enable_telemetry = False
