"""How long a refund waits for its charge: in seconds of their own, as the documents promise."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from payments.lifecycle.refund_claims import _verdict
from tests.support.every import every

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def waiting(missing_s: float, *, reserved: bool = False) -> Any:
    """A refund that was accepted so long ago, and has reserved nothing."""
    created_at = NOW - timedelta(seconds=missing_s)
    return SimpleNamespace(now=NOW, created_at=created_at, reserved=reserved)


@every(
    "missing_s, wait_s",
    [
        # Half as long as it has been missing: at least 2 s, at most a minute.
        (0, 2), (3, 2), (10, 5), (100, 50), (120, 60), (500, 60),
        # Never past the end of the ten minutes.
        (570, 30), (599, 2), (599.5, 2),
    ],
)  # fmt: skip
def test_a_charge_that_is_missing_is_looked_for_more_and_more_seldom(
    missing_s: float, wait_s: float
) -> None:
    assert _verdict(waiting(missing_s), None) == wait_s


@pytest.mark.parametrize("missing_s", [600, 601, 86_400])
def test_after_ten_minutes_a_charge_that_is_missing_is_given_up(missing_s: float) -> None:
    assert _verdict(waiting(missing_s), None) == "charge_not_found"


@pytest.mark.parametrize("missing_s", [0, 601, 86_400])
def test_what_has_reserved_its_amount_is_never_given_up_for_a_charge_that_is_not_held(
    missing_s: float,
) -> None:
    assert _verdict(waiting(missing_s, reserved=True), None) == 2


@pytest.mark.parametrize(
    ("state", "verdict"), [("failed", "charge_failed"), ("succeeded", None), ("pending", 30)]
)
def test_a_charge_that_is_there_is_waited_for_as_it_stands(
    state: str, verdict: float | str | None
) -> None:
    charge: Any = SimpleNamespace(state=state, scheduled_at=None)
    assert _verdict(waiting(0), charge) == verdict
