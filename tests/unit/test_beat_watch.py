"""A beat that hangs is ended; one that works, or is ending, is not."""

import threading

from tests.support.waiting import wait_for
from worker.beat import EXIT_BEAT, Watch


def test_a_beat_without_a_sign_is_ended_and_one_with_signs_is_not() -> None:
    ended: list[int] = []
    watch = Watch(limit_s=0.4, look_every_s=0.02, end=ended.append)
    watch.start()
    working = threading.Event()

    def signs() -> None:
        while not working.wait(0.005):
            watch.is_alive_now()

    worker = threading.Thread(target=signs)
    worker.start()
    watch.join(1.0)  # more than twice the limit
    assert ended == []
    working.set()
    worker.join()
    wait_for(lambda: ended, what="the end")
    assert ended == [EXIT_BEAT]


def test_a_beat_that_is_ending_is_left_alone() -> None:
    ended: list[int] = []
    watch = Watch(limit_s=0.02, look_every_s=0.01, end=ended.append)
    watch.stop()
    watch.run()
    assert ended == []
