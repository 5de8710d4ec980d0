"""Beat calls each task when its interval has passed, by a clock that nobody sets."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
from celery import Celery

from worker.beat import Sweeper


class Beat(Sweeper):
    """A beat at whose clock we turn."""

    now = 1000.0
    # The real one is a thread that ends this process when nothing ticks.
    _watch = SimpleNamespace(is_alive_now=lambda: None)  # type: ignore[assignment]

    def clock(self) -> float:  # type: ignore[override]
        return self.now


def a_beat(every_s: dict[str, float], run: Callable[[Beat, str], None]) -> Beat:
    """A beat that calls `run` for each task that is due, by its name."""
    app = Celery(set_as_current=False)
    app.conf.beat_schedule = {
        name: {"task": name, "schedule": seconds} for name, seconds in every_s.items()
    }
    beat = Beat(app)
    for name in every_s:
        app.tasks[name] = SimpleNamespace(run=partial(run, beat, name))
    return beat


def test_each_is_called_as_often_as_its_interval_says() -> None:
    called: list[tuple[float, str]] = []
    beat = a_beat({"due": 1.0, "rare": 3.0}, lambda beat, name: called.append((beat.now, name)))
    assert beat.tick() == 1.0
    for _ in range(6):
        beat.now += beat.tick()
    assert sorted(called) == [
        (1001.0, "due"),
        (1002.0, "due"),
        (1003.0, "due"),
        (1003.0, "rare"),
        (1004.0, "due"),
        (1005.0, "due"),
    ]


@pytest.mark.parametrize(("took_s", "next_in_s"), [(0.25, 0.75), (1.0, 0.0), (7.0, 0.0)])
def test_what_took_its_time_is_due_an_interval_after_it_began(
    took_s: float, next_in_s: float
) -> None:
    def work(beat: Beat, _: str) -> None:
        beat.now += took_s

    beat = a_beat({"due": 1.0}, work)
    beat.now += beat.tick()
    assert beat.tick() == next_in_s


def test_one_that_fails_keeps_nothing_from_being_called() -> None:
    called: list[str] = []

    def fail(_: Beat, name: str) -> None:
        called.append(name)
        raise RuntimeError

    beat = a_beat({"due": 1.0, "other": 1.0}, fail)
    for _ in range(3):
        beat.now += beat.tick()
    assert sorted(called) == ["due", "due", "other", "other"]
