"""Stripe behind the port: charge, refund, look up, cancel."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import stripe

from payments.processors.outcomes import (
    Canceled,
    Declined,
    Found,
    NotFound,
    Outcome,
    Unavailable,
    Unknown,
)
from payments.processors.port import Order, ProcessorEvent
from payments.processors.stripe.finding import find, standing
from payments.processors.stripe.money import LIMITS
from payments.processors.stripe.refusals import CHARGES, COMMON, REFUNDS, Row, code_of, outcome_of
from payments.processors.stripe.standing import ABANDONED, REQUESTED
from payments.processors.stripe.wire import API_BASE, Object, Wire

log = logging.getLogger(__name__)

# "Keys can be removed after they are at least 24 hours old":
# https://docs.stripe.com/api/idempotent_requests
KEY_WINDOW = timedelta(hours=24)
# How often a process says that its key or its permissions are wrong.
ALARM_EVERY_S = 300.0
# Refused, since it is past the state in which it could be canceled.
NOT_CANCELABLE = "payment_intent_unexpected_state"


class Stripe:
    """A Stripe account. Thread-safe: all calls of a process go over one event loop."""

    limits = LIMITS

    def __init__(
        self,
        api_key: str,
        *,
        name: str = "stripe",
        api_base: str = API_BASE,
        key_window: timedelta = KEY_WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.livemode = is_live(api_key)
        self.key_window = key_window
        self._wire = Wire(api_key, api_base=api_base)
        self._clock = clock
        self._alarm_at = -ALARM_EVERY_S

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        """Take the money of a charge, once per key."""

        async def take() -> Found:
            intent, is_repeated = await self._wire.create_intent(order)
            return await self._now(intent, order) if is_repeated else standing(intent, order)

        return _executed(self._ask(take, CHARGES, deadline_s))

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        """Give back money of a charge, once per key and never more than was taken."""

        async def give_back() -> Found:
            refund, is_repeated = await self._wire.create_refund(order)
            return await self._now(refund, order) if is_repeated else standing(refund, order)

        if order.charge_reference is None:
            # A person settled the charge without Stripe's id of it: they know where the money is.
            return Declined("refund_declined", "charge_reference_missing", "")
        return _executed(self._ask(give_back, REFUNDS, deadline_s))

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        """What came of a charge or refund, however long ago."""

        async def look() -> Found:
            return await self._settled(await find(self._wire, order), order)

        return self._ask(look, COMMON, deadline_s)

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """End a charge that has not succeeded yet; see the port."""

        async def end() -> Found:
            found = await find(self._wire, order)
            if found is None:
                return NotFound()
            outcome = standing(found, order)
            if isinstance(outcome, Declined | Unknown):
                return await self._settled(found, order)
            return await self._closed(found, order, REQUESTED)

        return self._ask(end, COMMON, deadline_s)

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """Stripe brings its events itself; see `payments.processors.stripe.events`."""
        raise NotImplementedError

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        """None: Stripe brings them."""
        return []

    def check(self, *, deadline_s: float) -> str | None:
        """Whether the key is good for what a look-up asks."""

        async def knock() -> Found:
            await self._wire.knock()
            return NotFound()

        match self._try(knock, COMMON, deadline_s):
            case Unavailable(reason, needs_operator=True):
                return f"refuses our key ({reason})"
            case Unavailable(reason) | Unknown(reason):
                return f"gives no answer ({reason})"
        return None

    def close(self) -> None:
        """Hang up; the next call opens the line anew."""
        self._wire.close()

    def _ask(
        self, call: Callable[[], Awaitable[Found]], rows: tuple[Row, ...], deadline_s: float
    ) -> Found:
        """What a call comes to. What an operator has to mend is said aloud."""
        outcome = self._try(call, rows, deadline_s)
        if isinstance(outcome, Unavailable) and outcome.needs_operator:
            self._alarm(outcome.reason)
        return outcome

    def _try(
        self, call: Callable[[], Awaitable[Found]], rows: tuple[Row, ...], deadline_s: float
    ) -> Found:
        """What a call comes to; an error is read by `rows`."""
        try:
            return self._wire.run(call, deadline_s=deadline_s)
        except stripe.StripeError as error:
            return outcome_of(error, rows)
        except (KeyError, TypeError, ValueError, AttributeError):
            # It is JSON, and not what Stripe's objects look like.
            return Unknown("unreadable_answer")

    async def _now(self, repeated: Object, order: Order) -> Found:
        """How it stands by now: a repeated answer is as old as the first one."""
        again = self._wire.intent if order.kind == "charge" else self._wire.refund
        try:
            return standing(await again(repeated["id"]), order)
        except stripe.StripeError:
            return Unknown("look_up_failed")  # Whatever this call met, money may have moved before.

    async def _settled(self, found: Object | None, order: Order) -> Found:
        """How it stands, and surely: a PaymentIntent whose payment failed could still be paid, by a
        customer who tries another card on the page that asks for it. So it is closed first."""
        outcome = standing(found, order)
        if found is None or order.kind != "charge" or not isinstance(outcome, Declined):
            return outcome
        if found["status"] == "canceled":
            return outcome
        closed = await self._closed(found, order, ABANDONED)
        return outcome if isinstance(closed, Canceled | Declined) else closed

    async def _closed(self, found: Object, order: Order, reason: str) -> Found:
        """Cancel a PaymentIntent, and say how it stands then."""
        try:
            return standing(await self._wire.cancel_intent(found["id"], reason), order)
        except stripe.StripeError as error:
            if code_of(error) != NOT_CANCELABLE:
                raise
        return standing(await self._wire.intent(found["id"]), order)

    def _alarm(self, reason: str) -> None:
        """One loud line, and not one for each charge that waits."""
        now = self._clock()
        if now - self._alarm_at >= ALARM_EVERY_S:
            self._alarm_at = now
            log.error(
                "%s refuses us for how we are set up (%s): charges and refunds wait until that is"
                " mended; see `billing doctor`",
                self.name,
                reason,
            )


def is_live(api_key: str) -> bool:
    """Whether a key moves real money (https://docs.stripe.com/keys)."""
    return api_key.startswith(("sk_live_", "rk_live_"))


def _executed(found: Found) -> Outcome:
    """NotFound is no answer to what was sent just now."""
    return Unknown("not_confirmed") if isinstance(found, NotFound) else found
