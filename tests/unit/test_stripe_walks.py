"""Walks through Stripe's PaymentIntents: what is there is found, in as many calls as it takes, and
what is not there is said to be so only when everything was seen."""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.processors.outcomes import Unknown
from payments.processors.port import Order
from payments.processors.stripe.stripe_transport import AnswerLost
from payments.processors.stripe.walking import ARRIVES_WITHIN, CLOCKS_DIFFER, walk

SENT = 1_800_000_000
DAY = 86_400
ORDER = Order(
    id="ch_ours",
    kind="charge",
    amount=1000,
    currency="USD",
    first_sent_at=datetime.fromtimestamp(SENT, UTC),
)
Object = Mapping[str, Any]


class Account:
    """PaymentIntents by the seconds in which they were made, listed as Stripe lists them."""

    def __init__(self, seconds: Sequence[int], ours: int | None = None, *, page: int = 100) -> None:
        made = [(second, f"pi_{n}") for n, second in enumerate(sorted(seconds))]
        made += [] if ours is None else [(ours, "pi_ours")]
        self._made = sorted(made)
        self._page = page
        self.pages = 0
        self.lost_after: int | None = None

    async def intents(
        self, begin: int, end: int, *, customer: str | None, after: str | None = None
    ) -> tuple[list[Object], bool]:
        assert customer is None
        self.pages += 1
        if self.lost_after is not None and self.pages > self.lost_after:
            raise AnswerLost("timeout")
        first, last = (bisect_left(self._made, (second, "")) for second in (begin, end))
        if after is not None:
            last = next(n for n in range(first, last) if self._made[n][1] == after)
        newest = self._made[max(first, last - self._page) : last][::-1]
        return [{"id": id_, "created": at} for at, id_ in newest], last - first > self._page


def look(
    account: Account, order: Order = ORDER, *, now: int = SENT + DAY, pages: int = 10**9
) -> Any:
    """What one call finds that has time for so many pages."""
    last = account.pages + pages
    return asyncio.run(
        walk(
            account,  # type: ignore[arg-type]
            order,
            lambda one: one["id"] == "pi_ours",
            now=now,
            has_time=lambda: account.pages < last,
        )
    )


def look_on(account: Account, *, pages: int) -> tuple[Any, int]:
    """What calls find that go on where the one before stopped, a minute later; and how many there
    were."""
    order, now = ORDER, SENT + DAY
    for calls in range(1, 1_000):
        found = look(account, order, now=now + 60 * calls, pages=pages)
        if not isinstance(found, Unknown):
            return found, calls
        if found.looked_until is not None:
            assert order.looked_until is None or found.looked_until > order.looked_until
            order = replace(order, looked_until=found.looked_until)
    raise AssertionError("it never ends")


def test_a_quiet_account_is_asked_once() -> None:
    account = Account([SENT + 7, SENT + 9], SENT + 1)
    assert look(account)["id"] == "pi_ours"
    assert account.pages == 1
    assert look(Account([SENT + 7, SENT + 9])) is None


few = settings(max_examples=60, deadline=None)
seconds = st.lists(st.integers(SENT - 2 * DAY, SENT + DAY), max_size=300)
bursts = st.lists(st.sampled_from([SENT - 1, SENT, SENT + 1, SENT + 500]), max_size=60)


@few
@given(seconds, bursts, st.none() | st.integers(SENT - 200, SENT + DAY), st.integers(1, 30))
def test_it_is_found_if_it_is_there_however_little_time_a_call_has(
    others: list[int], burst: list[int], ours: int | None, pages: int
) -> None:
    account = Account([*others, *burst], ours, page=5)
    found, _ = look_on(account, pages=pages)
    assert (found and found["id"]) == (ours and "pi_ours")


@few
@given(seconds, st.integers(1, 400))
def test_an_incomplete_walk_never_says_that_there_is_none(others: list[int], pages: int) -> None:
    account = Account(others, SENT + DAY - 400, page=5)
    assert look(account, pages=pages) is not None


def test_a_hundred_thousand_of_a_day_take_little_more_than_their_pages() -> None:
    account = Account([SENT + n * DAY // 100_000 for n in range(100_000)])
    found, calls = look_on(account, pages=60)
    assert found is None
    assert 1_000 <= account.pages <= 1_600
    assert calls <= 28


def test_what_lies_before_the_first_call_is_not_listed() -> None:
    account = Account([], SENT - int(CLOCKS_DIFFER.total_seconds()) - 1)
    assert look(account) is None
    account = Account([], SENT - int(CLOCKS_DIFFER.total_seconds()))
    assert look(account)["id"] == "pi_ours"


def test_what_lies_long_after_the_last_call_is_not_listed() -> None:
    reach = int((ARRIVES_WITHIN + CLOCKS_DIFFER).total_seconds())
    sent_again = SENT + 3_600
    order = replace(ORDER, last_sent_at=datetime.fromtimestamp(sent_again, UTC))
    assert look(Account([], sent_again + reach), order)["id"] == "pi_ours"
    busy = Account([sent_again + reach + 1 + n for n in range(1_000)])
    assert look(busy, order) is None
    assert busy.pages == 1


def test_what_was_made_a_moment_ago_is_looked_at_again() -> None:
    """It may not show yet, or Stripe's clock be another."""
    now = SENT + 60
    account = Account([SENT - 250 + n for n in range(300)])
    stopped = look(account, now=now, pages=6)
    assert isinstance(stopped, Unknown)
    settled = now - CLOCKS_DIFFER.total_seconds()
    assert stopped.looked_until is None or stopped.looked_until.timestamp() <= settled


def test_an_answer_that_gets_lost_on_the_way_loses_nothing_that_was_seen() -> None:
    account = Account([SENT + n for n in range(5_000)])
    account.lost_after = 12
    stopped = look(account)
    assert isinstance(stopped, Unknown)
    assert stopped.looked_until is not None
    assert stopped.looked_until - ORDER.first_sent_at > timedelta(0)  # type: ignore[operator]


def test_an_answer_that_never_comes_is_told_as_ever() -> None:
    account = Account([SENT])
    account.lost_after = 0
    with pytest.raises(stripe.APIConnectionError):
        look(account)
