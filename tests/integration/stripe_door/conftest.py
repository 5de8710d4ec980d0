"""A stand-in for Stripe that the tests of a file share, and a client of it."""

from collections.abc import Iterator

import pytest
import stripe

from tests.support.stripe_door import Door, stripe_door


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with stripe_door() as opened:
        yield opened


@pytest.fixture(scope="module")
def client(door: Door) -> stripe.StripeClient:
    return door.client()


@pytest.fixture(autouse=True)
def _nothing_moved_twice(door: Door) -> Iterator[None]:
    yield
    moved = [(one["object"], one["direction"], one["key"]) for one in door.movements()]
    assert len(moved) == len(set(moved))
