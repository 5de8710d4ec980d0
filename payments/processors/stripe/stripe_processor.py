"""Stripe behind the port: charge, capture, refund, look up, cancel."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import stripe

from payments.processors.installation import Installation
from payments.processors.outcomes import (
    Declined,
    Found,
    NotFound,
    Outcome,
    Unavailable,
    Unknown,
)
from payments.processors.port import (
    EventRefused,
    EventUnanswered,
    FoundRefund,
    Order,
    ProcessorEvent,
    Record,
)
from payments.processors.stripe import holds, stripe_events
from payments.processors.stripe.balance_lines import BalanceLines
from payments.processors.stripe.ownership import Ownership
from payments.processors.stripe.refusals import (
    CAPTURES,
    CHARGES,
    COMMON,
    REFUNDS,
    Row,
    outcome_of,
)
from payments.processors.stripe.standing import REQUESTED
from payments.processors.stripe.stripe_amounts import LIMITS
from payments.processors.stripe.stripe_lookup import closed, find, settled, standing
from payments.processors.stripe.wire import API_BASE, Object, Wire

log = logging.getLogger(__name__)

# "Keys can be removed after they are at least 24 hours old":
# https://docs.stripe.com/api/idempotent_requests
KEY_WINDOW = timedelta(hours=24)
# How often a process logs that its key or its permissions are wrong.
ALARM_EVERY_S = 300.0
NO_SUCH_OBJECT = 404
# The share of a call's time that walking through lists may use.
WALKS_FOR = 0.6


class Stripe:
    """A Stripe account. Thread-safe: all calls of a process go over one event loop.

    `multicapture`: the account may capture in parts.
    """

    def __init__(
        self,
        api_key: str,
        *,
        name: str = "stripe",
        webhook_secrets: Sequence[str] = (),
        api_base: str = API_BASE,
        multicapture: bool = False,
        key_window: timedelta = KEY_WINDOW,
        installation: Callable[[], Installation] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.livemode = is_live(api_key)
        self.key_window = key_window
        self.limits = replace(LIMITS, captures_in_parts=multicapture)
        self._wire = Wire(api_key, api_base=api_base, multicapture=multicapture)
        self._owner = Ownership(installation)
        self._books = BalanceLines(self._wire, self._owner, sleep)
        self._secrets = [secret.encode() for secret in webhook_secrets]
        self._clock, self._now_s = clock, now
        self._alarm_at = -ALARM_EVERY_S

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        """Take the money of a charge, or authorize it, once per key."""

        async def take() -> Found:
            intent, is_repeated = await self._wire.create_intent(order, self._owner.name_of(order))
            return await self._now(intent, order) if is_repeated else standing(intent, order)

        return _executed(self._ask(take, CHARGES, deadline_s))

    def capture(self, order: Order, *, deadline_s: float) -> Found:
        """Capture what is authorized, or a part of it. Leaving a rest authorized is declined if the
        account, or the card, doesn't support it."""

        async def take() -> Found:
            answer = await holds.capture(self._wire, order, self._owner.name_of(order))
            if not isinstance(answer, tuple):
                return answer
            intent, is_repeated = answer
            return await self._now(intent, order) if is_repeated else standing(intent, order)

        in_parts = self.limits.captures_in_parts
        if (objection := holds.objection_to(order, multicapture=in_parts)) is not None:
            return objection
        return _executed(self._ask(take, CAPTURES, deadline_s))

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        """Refund a charge, once per key and never more than was captured."""

        async def give_back() -> Found:
            refund, is_repeated = await self._wire.create_refund(order, self._owner.name_of(order))
            return await self._now(refund, order) if is_repeated else standing(refund, order)

        if order.charge_reference is None:
            # A person settled the charge without Stripe's id of it: they know where the money is.
            return Declined("refund_declined", "charge_reference_missing", "")
        return _executed(self._ask(give_back, REFUNDS, deadline_s))

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        """The result of a charge, capture or refund, however long ago."""

        async def look() -> Found:
            found = await self._find(order, deadline_s)
            if found is None or isinstance(found, Unknown) or order.kind == "refund":
                return standing(found, order)
            return await settled(self._wire, found, partial(standing, order=order))

        return self._ask(look, COMMON, deadline_s)

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """End a charge that has not succeeded yet; see the port."""

        async def end() -> Found:
            found = await self._find(order, deadline_s)
            if found is None or isinstance(found, Unknown):
                return standing(found, order)
            says = partial(standing, order=order)
            if isinstance(says(found), Declined | Unknown):
                return await settled(self._wire, found, says)
            return await closed(self._wire, found, says, REQUESTED)

        return self._ask(end, COMMON, deadline_s)

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """Never called, as `pull_events` returns no events."""
        raise EventRefused("Stripe brings its events to our door.")

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        """Always empty: Stripe posts its events."""
        return []

    def hear(
        self, headers: Mapping[str, str], body: bytes, *, deadline_s: float
    ) -> ProcessorEvent | FoundRefund | None:
        """The present state of the PaymentIntent or the refund that the event names."""
        named = stripe_events.read(headers, body, secrets=self._secrets, now=self._now_s())
        if named is None:
            return None
        if named.livemode not in (None, self.livemode):
            raise EventUnanswered("livemode_differs")  # our key would not find the object
        if (objection := self._owner.objection()) is not None:
            raise EventUnanswered(objection.reason)
        look_up = partial(named.look_up, self._wire, self._owner)
        try:
            return self._wire.run(look_up, deadline_s=deadline_s)
        except stripe.StripeError as error:
            if error.http_status == NO_SUCH_OBJECT:
                return None
            outcome = self._said(outcome_of(error, COMMON))
        except (KeyError, TypeError, ValueError, AttributeError):
            outcome = Unknown("unreadable_answer")
        raise EventUnanswered(getattr(outcome, "reason", ""))

    def records(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        """The lines of our balance in that time, newest first."""
        return self._books.lines(since, until, after=after)

    def records_of_payout(self, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
        """The lines of an automatic payout, newest first: its own is the first one."""
        return self._books.payout(payout_id, after=after)

    def check(self, *, deadline_s: float) -> str | None:
        """Whether the key has the permissions for a look-up."""

        async def knock() -> Found:
            await self._wire.knock()
            return NotFound()

        match self._try(knock, COMMON, deadline_s):
            case Unavailable("installation_renamed"):
                return "has our objects under another name than BILLING_STRIPE_INSTALLATION says"
            case Unavailable("installation_unknown"):
                return "was not asked, as our database does not say whose objects are ours"
            case Unavailable(reason, needs_operator=True):
                return f"refuses our key ({reason})"
            case Unavailable(reason) | Unknown(reason):
                return f"gives no answer ({reason})"
        return None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._wire.close()

    def _ask(
        self, call: Callable[[], Awaitable[Found]], rows: tuple[Row, ...], deadline_s: float
    ) -> Found:
        """The outcome of a call."""
        return self._said(self._try(call, rows, deadline_s))

    def _said(self, outcome: Found) -> Found:
        """The outcome; if an operator must fix something, that is logged."""
        if isinstance(outcome, Unavailable) and outcome.needs_operator:
            self._alarm(outcome.reason)
        return outcome

    def _try(
        self, call: Callable[[], Awaitable[Found]], rows: tuple[Row, ...], deadline_s: float
    ) -> Found:
        """The outcome of a call; `rows` say what an error means."""

        async def whole() -> Found:
            return await holds.dated(self._wire, await call())

        if (objection := self._owner.objection()) is not None:
            return objection
        try:
            return self._wire.run(whole, deadline_s=deadline_s)
        except stripe.StripeError as error:
            return outcome_of(error, rows)
        except (KeyError, TypeError, ValueError, AttributeError):
            # Valid JSON, but not the form of Stripe's objects.
            return Unknown("unreadable_answer")

    async def _find(self, order: Order, deadline_s: float) -> Object | Unknown | None:
        """Stripe's object of the order. It may need further requests, so searching may not use up
        all of the time."""
        name = self._owner.name_of(order)
        clock = asyncio.get_running_loop().time
        stops_at = clock() + deadline_s * WALKS_FOR
        return await find(
            self._wire, order, name, now=self._now_s(), has_time=lambda: clock() < stops_at
        )

    async def _now(self, repeated: Object, order: Order) -> Found:
        """Its present state: a repeated answer is as old as the first one."""
        again = self._wire.refund if order.kind == "refund" else self._wire.intent
        try:
            return standing(await again(repeated["id"]), order)
        except stripe.StripeError:
            # Whatever happened to this call, money may have moved before.
            return Unknown("look_up_failed", repeated["id"])

    def _alarm(self, reason: str) -> None:
        """Log one error, and not one for each waiting charge."""
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
    """NotFound is no valid answer to what was just sent."""
    return Unknown("not_confirmed") if isinstance(found, NotFound) else found
