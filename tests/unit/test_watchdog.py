"""When a worker must end itself, and above all when it must not."""

import pytest

from service.running import Running
from worker.watchdog import EXIT_DEAF, EXIT_TASK, Glance, Judge

TASK_LIMIT_S = 120
STALL_LIMIT_S = 60


class Story:
    """A worker over time: say what changes, then look."""

    def __init__(self):
        self.judge = Judge(task_limit_s=TASK_LIMIT_S, stall_limit_s=STALL_LIMIT_S)
        self.now = 1000.0
        self.tasks = []
        self.waited_s = 0.0
        self.received = 0
        self.looped_at = None
        self.room = 64
        self.waiting = 0
        self.stopping = False
        self.look()

    def look(self):
        return self.judge.judge(
            Glance(
                now=self.now,
                tasks=self.tasks,
                waited_s=self.waited_s,
                received=self.received,
                looped_at=self.now if self.looped_at is None else self.looped_at,
                room=self.room,
                waiting=self.waiting,
                stopping=self.stopping,
            )
        )

    def pass_time(self, seconds, **each_look):
        """Look every 5 s; the first verdict, or None."""
        for _ in range(seconds // 5):
            self.now += 5
            for name, step in each_look.items():
                setattr(self, name, getattr(self, name) + step)
            if verdict := self.look():
                return verdict
        return None

    def start_task(self):
        self.tasks = [Running("billing.charge.submit", "t1", 7, self.now, self.waited_s)]


@pytest.fixture
def story():
    return Story()


def test_an_idle_worker_may_live_for_ever(story):
    assert story.pass_time(24 * 3600) is None


def test_a_task_within_its_limit_is_left_alone(story):
    story.start_task()
    assert story.pass_time(TASK_LIMIT_S) is None


def test_a_task_that_outlives_its_limit_ends_the_worker_and_is_named(story):
    story.start_task()
    verdict = story.pass_time(TASK_LIMIT_S + 10)
    assert verdict.exit_code == EXIT_TASK
    assert verdict.task.task_id == "t1"


def test_a_task_that_hangs_ends_a_worker_that_is_stopping_too(story):
    story.start_task()
    story.stopping = True
    assert story.pass_time(TASK_LIMIT_S + 10).exit_code == EXIT_TASK


def test_time_spent_waiting_for_the_database_does_not_count(story):
    story.start_task()
    assert story.pass_time(3600, waited_s=5) is None
    assert story.pass_time(TASK_LIMIT_S) is None
    assert story.pass_time(10).exit_code == EXIT_TASK


def test_messages_that_wait_while_none_comes_in_end_the_worker(story):
    story.waiting = 5
    verdict = story.pass_time(STALL_LIMIT_S + 10)
    assert verdict.exit_code == EXIT_DEAF
    assert "5 messages wait" in verdict.reason


def test_a_long_queue_is_fine_while_messages_come_in(story):
    story.waiting = 100_000
    assert story.pass_time(3600, received=1) is None


def test_a_full_worker_takes_nothing_and_is_fine(story):
    story.waiting = 100_000
    story.room = 0
    assert story.pass_time(3600) is None


def test_a_broker_that_does_not_answer_is_not_our_fault(story):
    story.waiting = None
    story.looped_at = story.now  # the consumer sits in its reconnect, not in the loop
    assert story.pass_time(3600) is None


def test_after_an_outage_the_worker_has_its_whole_time_to_reconnect(story):
    story.waiting = None
    story.looped_at = story.now
    story.pass_time(3600)
    story.waiting = 5
    assert story.pass_time(STALL_LIMIT_S) is None
    assert story.pass_time(10).exit_code == EXIT_DEAF


def test_an_event_loop_that_stands_still_ends_the_worker(story):
    story.looped_at = story.now
    verdict = story.pass_time(3 * STALL_LIMIT_S)
    assert verdict.exit_code == EXIT_DEAF
    assert "event loop" in verdict.reason


def test_a_worker_that_is_stopping_takes_nothing_and_is_fine(story):
    story.waiting = 5
    story.stopping = True
    assert story.pass_time(3600) is None


def test_a_pause_in_a_queue_that_is_then_drained_is_forgotten(story):
    story.waiting = 5
    assert story.pass_time(STALL_LIMIT_S - 5) is None
    story.waiting = 0
    assert story.pass_time(5) is None
    story.waiting = 5
    assert story.pass_time(STALL_LIMIT_S - 5) is None
