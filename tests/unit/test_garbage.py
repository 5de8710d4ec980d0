"""What lives as long as the process is not looked through for garbage; what is new is."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from service.process import garbage


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Thing:
    itself: "Thing"


def a_cycle() -> Thing:
    thing = Thing()
    thing.itself = thing
    return thing


def test_what_was_there_is_left_alone_and_garbage_of_later_is_found() -> None:
    there = a_cycle()
    garbage.look_seldom()
    assert gc.get_threshold()[0] == garbage.NEW_MAX
    assert not any(one is there for one in gc.get_objects())
    later = a_cycle()
    assert any(one is later for one in gc.get_objects())
    is_left = ref(later)
    del later
    gc.collect()
    assert is_left() is None


def test_garbage_from_before_is_collected_first() -> None:
    lost = ref(a_cycle())
    garbage.look_seldom()
    assert lost() is None
