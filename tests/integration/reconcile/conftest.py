"""What tests of `billing reconcile` stand on."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from service import wiring
from tests.support.counter import Counter, counter
from tests.support.reconciling import Replace


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """`processor(make)`: what the command has in place of the sandbox."""
    return lambda make: monkeypatch.setitem(wiring.BUILT_IN, "sandbox", make)  # type: ignore[arg-type]
