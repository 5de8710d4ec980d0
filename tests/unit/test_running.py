"""The register of running tasks, with a clock of its own."""

from service.running import Register


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_task_ages_from_its_beginning_to_its_end():
    clock = Clock()
    register = Register(clock)
    register.begin("billing.charge.submit", "t1")
    clock.now += 7
    (running,) = register.now()
    assert (running.task, running.task_id) == ("billing.charge.submit", "t1")
    assert running.age_s(clock.now, register.waited_s()) == 7
    register.end()
    assert register.now() == []


def test_waiting_for_the_database_is_nobodys_fault():
    clock = Clock()
    register = Register(clock)
    register.begin("billing.charge.submit", "t1")
    clock.now += 5
    with register.waiting_for_database():
        clock.now += 1000
        (running,) = register.now()
        assert running.age_s(clock.now, register.waited_s()) == 5
    clock.now += 2
    assert running.age_s(clock.now, register.waited_s()) == 7


def test_a_wait_from_before_a_task_is_not_taken_off_its_age():
    clock = Clock()
    register = Register(clock)
    with register.waiting_for_database():
        clock.now += 50
    register.begin("billing.charge.submit", "t1")
    clock.now += 3
    (running,) = register.now()
    assert running.age_s(clock.now, register.waited_s()) == 3


def test_two_who_wait_at_once_count_once():
    clock = Clock()
    register = Register(clock)
    with register.waiting_for_database():
        clock.now += 1
        with register.waiting_for_database():
            clock.now += 1
        clock.now += 1
    assert register.waited_s() == 3
