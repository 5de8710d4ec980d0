"""The threads of a process take short turns."""

import sys
from collections.abc import Iterator

import pytest

from service.process import threads


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_turns_are_shorter_than_pythons_own() -> None:
    sys.setswitchinterval(0.005)
    threads.take_short_turns()
    assert sys.getswitchinterval() == pytest.approx(threads.TURN_S)
