"""What tests of `billing reconcile` stand on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from service import wiring
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.reconciling import AtStripe, Replace
from tests.support.stripe_door import KEY, Door, stripe_door


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """`processor(make)`: what the command has in place of the sandbox."""
    return lambda make: monkeypatch.setattr(wiring, "sandbox", make)


@pytest.fixture
def at_stripe(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> AtStripe:
    @contextmanager
    def open_door(**options: Any) -> Iterator[tuple[Door, Billing]]:
        with stripe_door(**options) as door:
            monkeypatch.setenv("BILLING_PROCESSORS", "stripe")
            monkeypatch.setenv("BILLING_STRIPE_API_KEY", KEY)
            monkeypatch.setenv("BILLING_STRIPE_API_BASE", door.url)
            yield door, billing

    return open_door
