"""Walks through an account's PaymentIntents: one time range after the other, oldest first, as far
as there is time.

Stripe lists the newest first, and nothing else finds them by our id (`finding`). An account may
make hundreds of thousands between a call and its look-up, at a hundred a page. So a walk notes up
to which second it has seen everything, and the next one begins there.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import stripe

from payments.processors.outcomes import Unknown
from payments.processors.port import Order
from payments.processors.stripe.wire import Object, Wire

# Our clock and Stripe's differ; and what Stripe has begun to make appears a little later.
CLOCKS_DIFFER = timedelta(minutes=5)
# How long after its claim a charge may be made at Stripe, at the latest: a lease is ten minutes at
# most, a call five, and what is on its way then gets lost.
ARRIVES_WITHIN = timedelta(minutes=20)
# How many to aim for per page, leaving room for a range that has more than the previous one.
COMFORTABLE = 80
# A quiet range says little about the next one.
GROWS_BY = 8
INCOMPLETE = "look_up_incomplete"


async def walk(
    wire: Wire,
    order: Order,
    is_it: Callable[[Object], bool],
    *,
    now: float,
    has_time: Callable[[], bool],
) -> Object | Unknown | None:
    """The PaymentIntent; None if there is none; Unknown if there was not enough time to see all.

    `now` is our clock, in Unix seconds. The first range is always read, so that walks make
    progress. Raises stripe.StripeError before that.
    """
    begin, end = _bounds(order, now)
    at, width = begin, max(end - begin, 1)
    try:
        while at < end:
            page, has_more = await wire.intents(at, at + width, customer=order.customer_id)
            found = _first(page, is_it)
            # What was made within one second is read page by page.
            while found is None and has_more and width == 1:
                after = page[-1]["id"]
                page, has_more = await wire.intents(
                    at, at + 1, customer=order.customer_id, after=after
                )
                found = _first(page, is_it)
            if found is not None:
                return found
            if has_more:  # the last page shows how dense they are
                width = min(width // 2, max(at + width - page[-1]["created"], 1))
            else:
                at += width
                wider = min(width * COMFORTABLE // max(len(page), 1), width * GROWS_BY)
                width = max(min(wider, end - at), 1)
            if begin < at < end and not has_time():
                return _as_far_as(at, begin, now)
    except stripe.StripeError:
        if at == begin:
            raise
        return _as_far_as(at, begin, now)
    return None


def _bounds(order: Order, now: float) -> tuple[int, int]:
    """The seconds in which it may have been made, from the first to the last (exclusive)."""
    begin, end = datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(now, UTC)
    if order.first_sent_at is not None:
        begin = order.first_sent_at - CLOCKS_DIFFER
    if order.looked_until is not None:
        begin = max(begin, order.looked_until)
    if order.last_sent_at is not None:
        end = min(end, order.last_sent_at + ARRIVES_WITHIN)
    return int(begin.timestamp()), int((end + CLOCKS_DIFFER).timestamp()) + 1


def _as_far_as(at: int, begin: int, now: float) -> Unknown:
    """How far the walk got. What was made just now may not show yet, so it is read again."""
    seen = min(at, int(now - CLOCKS_DIFFER.total_seconds()))
    return Unknown(
        INCOMPLETE, looked_until=datetime.fromtimestamp(seen, UTC) if seen > begin else None
    )


def _first(page: list[Object], is_it: Callable[[Object], bool]) -> Object | None:
    return next((one for one in page if is_it(one)), None)
