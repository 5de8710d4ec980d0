"""Many threads, one transaction: who leads, who waits, and who fails alone."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from service.database.batching import BATCH_MAX, LEADERS_MAX
from service.database.group_commit import GroupCommitter
from tests.support.waiting import patience_s, wait_for


class Ledger:
    """Takes batches, one at a time; can be held up, and refuses what it is told to."""

    def __init__(self, refuses: dict[int, BaseException] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.busy = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self._refuses = refuses or {}
        self._inside = 0
        # How many batches were being written at the same time.
        self.most_inside = 0

    def run(self, items: Sequence[int]) -> list[int]:
        self._inside += 1
        self.most_inside = max(self.most_inside, self._inside)
        self.batches.append(list(items))
        self.busy.set()
        assert self.open.wait(patience_s())
        self._inside -= 1
        for item in items:
            if item in self._refuses:
                raise self._refuses[item]
        return [item * 10 for item in items]


def submit_behind_one(
    threads: ThreadPoolExecutor, ledger: Ledger, committer: GroupCommitter[int, int], count: int
) -> list[Future[int]]:
    """Item 0 is being written; items 1 to `count` queue up behind it, in order; then it goes on."""
    ledger.open.clear()
    futures = [threads.submit(committer.submit, 0)]
    assert ledger.busy.wait(patience_s())
    for item in range(1, count + 1):
        futures.append(threads.submit(committer.submit, item))
        wait_for(lambda n=item: len(committer._batching.waiting) == n, what="it to wait")
    ledger.open.set()
    return futures


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * BATCH_MAX) as threads:
        yield threads


def test_one_alone_goes_at_once() -> None:
    ledger = Ledger()
    assert GroupCommitter(ledger.run, stuck_s=60).submit(7) == 70
    assert ledger.batches == [[7]]


def test_whoever_comes_while_one_is_written_is_the_next_batch(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger()
    futures = submit_behind_one(threads, ledger, GroupCommitter(ledger.run, stuck_s=60), 20)
    assert [future.result(patience_s()) for future in futures] == [n * 10 for n in range(21)]
    assert ledger.batches == [[0], list(range(1, 21))]


def test_no_batch_is_larger_than_it_may_be_and_nobody_is_overtaken(
    threads: ThreadPoolExecutor,
) -> None:
    ledger = Ledger()
    committer = GroupCommitter(ledger.run, stuck_s=60, batch_max=4)
    futures = submit_behind_one(threads, ledger, committer, 10)
    assert [future.result(patience_s()) for future in futures] == [n * 10 for n in range(11)]
    assert ledger.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_whoever_comes_while_the_lead_changes_hands_waits(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger()
    gates = [threading.Event(), threading.Event()]
    waits = iter(gates)

    def run(items: Sequence[int]) -> list[int]:
        gate = next(waits, None)
        ledger.run([])
        assert gate is None or gate.wait(patience_s())
        return [item * 10 for item in items]

    committer = GroupCommitter(run, stuck_s=60)
    first = threads.submit(committer.submit, 0)
    wait_for(lambda: len(ledger.batches) == 1, what="its batch to be written")
    second = threads.submit(committer.submit, 1)
    wait_for(lambda: len(committer._batching.waiting) == 1, what="it to wait")
    gates[0].set()
    wait_for(lambda: len(ledger.batches) == 2, what="its batch to be written")  # led by the second
    third = threads.submit(committer.submit, 2)
    wait_for(lambda: len(committer._batching.waiting) == 1, what="it to wait")
    assert len(ledger.batches) == 2
    gates[1].set()
    assert [future.result(patience_s()) for future in (first, second, third)] == [0, 10, 20]


def test_an_item_that_breaks_its_batch_fails_alone(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger(refuses={2: ValueError("two")})
    futures = submit_behind_one(threads, ledger, GroupCommitter(ledger.run, stuck_s=60), 3)
    assert [futures[n].result(patience_s()) for n in (0, 1, 3)] == [0, 10, 30]
    with pytest.raises(ValueError, match="two"):
        futures[2].result(patience_s())
    assert ledger.batches == [[0], [1, 2, 3], [1], [2], [3]]


class HeldUp(Exception):
    """As the database says it when somebody holds a row."""

    class orig:  # noqa: N801  # its name in SQLAlchemy's errors
        sqlstate = "55P03"


def test_who_shares_a_row_that_is_held_up_fails_together_and_last(
    threads: ThreadPoolExecutor,
) -> None:
    """Even numbers share one row, which somebody holds, and multiples of five another."""
    ledger = Ledger(refuses={2: HeldUp(), 4: HeldUp(), 6: HeldUp()})
    committer = GroupCommitter(
        ledger.run,
        stuck_s=60,
        shared=lambda item: "five" if item % 5 == 0 else item % 2 == 0 or None,
    )
    futures = submit_behind_one(threads, ledger, committer, 6)
    assert [futures[n].result(patience_s()) for n in (0, 1, 3, 5)] == [0, 10, 30, 50]
    for n in (2, 4, 6):
        assert isinstance(futures[n].exception(patience_s()), HeldUp)
    # As a whole, by what they share, and one of those who share it: no others wait for that row.
    assert ledger.batches == [[0], [1, 2, 3, 4, 5, 6], [1, 3], [2, 4, 6], [6], [5]]


def test_who_is_held_up_by_a_row_of_its_own_fails_alone_whatever_it_shares(
    threads: ThreadPoolExecutor,
) -> None:
    ledger = Ledger(refuses={2: HeldUp()})
    committer = GroupCommitter(ledger.run, stuck_s=60, shared=lambda item: "one")
    futures = submit_behind_one(threads, ledger, committer, 3)
    assert [futures[n].result(patience_s()) for n in (0, 1, 3)] == [0, 10, 30]
    assert isinstance(futures[2].exception(patience_s()), HeldUp)
    assert ledger.batches == [[0], [1, 2, 3], [3], [1], [2]]


def test_what_can_t_be_told_of_an_item_is_its_own_failure(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger()
    committer = GroupCommitter(ledger.run, stuck_s=60, shared=lambda item: 1 / (item - 2))
    futures = submit_behind_one(threads, ledger, committer, 1)
    with pytest.raises(ZeroDivisionError):
        committer.submit(2)
    assert [one.result(patience_s()) for one in futures] == [0, 10]


def test_who_shares_nothing_and_is_held_up_fails_alone(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger(refuses={2: HeldUp()})
    futures = submit_behind_one(threads, ledger, GroupCommitter(ledger.run, stuck_s=60), 3)
    assert [futures[n].result(patience_s()) for n in (0, 1, 3)] == [0, 10, 30]
    assert isinstance(futures[2].exception(patience_s()), HeldUp)


def test_when_the_process_ends_among_those_who_share_nobody_waits_for_ever(
    threads: ThreadPoolExecutor,
) -> None:
    ledger = Ledger(refuses={1: HeldUp(), 2: SystemExit()})
    committer = GroupCommitter(ledger.run, stuck_s=60, shared=lambda item: item)
    futures = submit_behind_one(threads, ledger, committer, 4)
    # The first of them leads, and its thread is where the end comes.
    assert all(isinstance(futures[n].exception(patience_s()), SystemExit) for n in (1, 2, 3, 4))


def test_after_a_failure_it_goes_on() -> None:
    ledger = Ledger(refuses={1: ValueError("one")})
    committer = GroupCommitter(ledger.run, stuck_s=60)
    with pytest.raises(ValueError, match="one"):
        committer.submit(1)
    assert committer.submit(2) == 20


@pytest.mark.parametrize("ends_at", [1, 2, 3])
def test_when_the_process_ends_nobody_waits_for_ever(
    threads: ThreadPoolExecutor, ends_at: int
) -> None:
    """Whether the end comes in the batch or while it is taken apart."""
    refuses: dict[int, BaseException] = {1: ValueError("one"), ends_at: SystemExit()}
    ledger = Ledger(refuses)
    futures = submit_behind_one(threads, ledger, GroupCommitter(ledger.run, stuck_s=60), 4)
    assert futures[0].result(patience_s()) == 0
    assert isinstance(futures[ends_at].exception(patience_s()), SystemExit)
    assert all(future.exception(patience_s()) is not None for future in futures[ends_at:])


def test_an_answer_too_few_is_an_error_for_all() -> None:
    committer = GroupCommitter[int, int](lambda items: [])
    with pytest.raises(RuntimeError, match="0 answers for 1 items"):
        committer.submit(1)


def test_a_storm_of_threads_gets_every_answer_once(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger(refuses={n: ValueError(str(n)) for n in range(0, 2000, 97)})
    committer = GroupCommitter(ledger.run, stuck_s=60)

    def send(item: int) -> int | str:
        try:
            return committer.submit(item)
        except ValueError as refused:
            return str(refused)

    answers = list(threads.map(send, range(2000)))
    assert answers == [str(n) if n % 97 == 0 else n * 10 for n in range(2000)]
    assert not committer._batching.waiting


def test_in_a_storm_one_batch_is_written_at_a_time(threads: ThreadPoolExecutor) -> None:
    """Only what is taken apart, because something in it was refused, goes beside the next one."""
    ledger = Ledger()
    committer = GroupCommitter(ledger.run, stuck_s=60)
    assert list(threads.map(committer.submit, range(2000))) == [n * 10 for n in range(2000)]
    assert ledger.most_inside == 1


def test_a_batch_that_is_stuck_is_not_waited_for_by_those_behind_it(
    threads: ThreadPoolExecutor,
) -> None:
    ledger = Ledger()
    free = threading.Event()
    stuck = range(LEADERS_MAX - 1)

    def run(items: Sequence[int]) -> list[int]:
        if items[0] in stuck:
            assert free.wait(patience_s())
        return ledger.run(items)

    committer = GroupCommitter(run, stuck_s=0.01)
    behind = []
    for item in stuck:
        behind.append(threads.submit(committer.submit, item))
        wait_for(lambda n=item: committer._batching.leaders == n + 1, what="it to lead")
    assert committer.submit(50) == 500  # beside them
    free.set()
    assert [one.result(patience_s()) for one in behind] == [item * 10 for item in stuck]
    assert committer.submit(60) == 600
    assert committer._batching.leaders == 0


def test_no_more_batches_are_under_way_at_once_than_may_be(threads: ThreadPoolExecutor) -> None:
    ledger = Ledger()
    ledger.open.clear()
    committer = GroupCommitter(ledger.run, stuck_s=0.01)
    futures = []
    for item in range(LEADERS_MAX):
        futures.append(threads.submit(committer.submit, item))
        wait_for(lambda n=item: len(ledger.batches) == n + 1, what="its batch to be written")
    futures += [threads.submit(committer.submit, item) for item in range(10, 20)]
    wait_for(lambda: len(committer._batching.waiting) == 10, what="all of them to wait")
    ledger.open.set()
    assert {one.result(patience_s()) for one in futures} == {0, 10, 20, *range(100, 200, 10)}
    assert ledger.most_inside <= LEADERS_MAX


def test_a_batch_is_given_up_before_its_waits_add_up_to_too_much(
    threads: ThreadPoolExecutor,
) -> None:
    """Every row is held, and each try waits two seconds of a clock that only it moves."""
    now = 0.0
    ledger = Ledger(refuses={n: HeldUp() for n in range(1, 64)})

    def run(items: Sequence[int]) -> list[int]:
        nonlocal now
        try:
            return ledger.run(items)
        finally:
            now += 2.0

    committer = GroupCommitter(run, stuck_s=60, give_up_s=10.0, clock=lambda: now)
    futures = submit_behind_one(threads, ledger, committer, 63)
    assert futures[0].result(patience_s()) == 0
    assert all(isinstance(one.exception(patience_s()), HeldUp) for one in futures[1:])
    assert ledger.batches[2:] == [[1], [2], [3], [4], [5]]


def test_what_shares_a_row_that_was_found_held_goes_apart_from_others_for_a_while(
    threads: ThreadPoolExecutor,
) -> None:
    now = 0.0
    ledger = Ledger(refuses={n: HeldUp() for n in range(2, 100, 2)})
    committer = GroupCommitter(
        ledger.run,
        stuck_s=60,
        clock=lambda: now,
        shared=lambda item: "even" if item % 2 == 0 and item else None,
    )
    submit_behind_one(threads, ledger, committer, 4)[4].exception(patience_s())
    wait_for(lambda: not committer._batching.leaders, what="the batch to end")
    ledger.batches.clear()
    futures = submit_behind_one(threads, ledger, committer, 6)
    assert [futures[n].result(patience_s()) for n in (0, 1, 3, 5)] == [0, 10, 30, 50]
    assert all(isinstance(futures[n].exception(patience_s()), HeldUp) for n in (2, 4, 6))
    assert ledger.batches == [[0], [1, 3, 5], [2, 4, 6], [6]]
    now += 60
    ledger.batches.clear()
    futures = submit_behind_one(threads, ledger, committer, 2)
    assert isinstance(futures[2].exception(patience_s()), HeldUp)
    assert ledger.batches[1] == [1, 2]
