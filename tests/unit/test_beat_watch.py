"""A beat that hangs is ended; one that works, or is ending, is not."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from celery import Celery

from service.process.life import Life
from worker.beat import EXIT_BEAT, Sweeper, Watch


def looks(watch: Watch, *, signs: Sequence[bool]) -> int:
    """Let it look, after a sign or without one, until it looks no more; how often it did."""
    left = [*signs]

    def look(_: float) -> bool:
        if not left:
            return True  # stopped
        if left.pop(0):
            watch.is_alive_now()
        return False

    watch._stopped.wait = look  # type: ignore[method-assign,assignment]
    watch.run()
    return len(signs) - len(left)


def test_a_beat_without_a_sign_is_ended_and_one_with_signs_is_not() -> None:
    ended: list[int] = []
    watch = Watch(limit_s=4, look_every_s=1, end=ended.append)
    assert looks(watch, signs=[True, False, False, False] * 5) == 20
    assert ended == []
    assert looks(watch, signs=[True, *[False] * 20]) == 5
    assert ended == [EXIT_BEAT]


def test_a_beat_shows_life_while_it_sweeps_and_no_longer(tmp_path: Path) -> None:
    class Shown(Life):
        times = 0

        def show(self) -> None:
            self.times += 1

    life = Shown(tmp_path, "beat")
    watch = Watch(limit_s=10, look_every_s=1, end=lambda _: None, life=life)
    looks(watch, signs=[True, True, False, False, False])
    assert life.times == 2


def test_a_beat_that_is_ending_is_left_alone() -> None:
    ended: list[int] = []
    watch = Watch(limit_s=0.02, look_every_s=0.01, end=ended.append)
    watch.stop()
    watch.run()
    assert ended == []


def test_each_sweep_of_a_tick_is_a_sign_of_life() -> None:
    """All that one tick has to do may wait for longer than a beat may give no sign."""
    app = Celery(set_as_current=False)
    services = SimpleNamespace(settings=SimpleNamespace(run_dir=None))
    app.handlers = SimpleNamespace(sweeper=SimpleNamespace(), services=services)
    done: list[str] = []
    app.stop_waiting = lambda: done.append("stop waiting")
    app.close_handlers = lambda: done.append("close")
    beat = Sweeper(app, lazy=True)
    beat.tick()
    assert beat._watch is not None
    beat._watch._sign.clear()
    app.handlers.sweeper.on_made()
    assert beat._watch._sign.is_set()
    # In the handler of a signal, whose process may hold any lock; behind the loop; and once more.
    for told in (["stop waiting"], ["stop waiting", "close"], ["stop waiting", "close"]):
        beat.close()
        assert done == told
