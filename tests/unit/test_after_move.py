"""The moments that a move works out, wherever the database says that it is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from payments.lifecycle.moving.after_move import later

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC),  # the clock is about to be set back
        datetime(2026, 10, 25, 1, 10, tzinfo=UTC),  # it has been
        datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC),  # it is about to be put forward
    ],
)
def test_so_much_later_is_so_much_later_in_any_zone(at: datetime) -> None:
    found = later(at.astimezone(BERLIN), timedelta(seconds=5))
    assert found is not None
    # In UTC: of two moments in one zone Python compares what a clock on the wall shows.
    assert found.astimezone(UTC) == at + timedelta(seconds=5)


def test_no_wait_is_no_moment() -> None:
    assert later(datetime.now(UTC), None) is None
