"""Those who wait for a final state: looked after together, ever more seldom, and let go."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from api.edge.problems import DatabaseUnavailable
from api.pollers import LOOK_MAX_S, WAIT_MAX_S, WAITERS_MAX, Pollers
from infra.billing.contract.ids import Kind
from tests.support import hourglass

KINDS: list[Kind] = ["charge", "refund"]


class Books:
    """Tells what is final from a moment on, writes down what it was asked, and may be closed."""

    def __init__(self, **final_at: float) -> None:
        self.asked: list[tuple[float, Kind, list[str]]] = []
        self.closed_until = 0.0
        self._final_at = final_at

    async def at_rest(self, kind: Kind, ids: Sequence[str]) -> set[str]:
        now = asyncio.get_running_loop().time()
        self.asked.append((now, kind, list(ids)))
        await asyncio.sleep(0)
        if now < self.closed_until:
            raise DatabaseUnavailable
        return {id_ for id_ in ids if now >= self._final_at.get(id_, float("inf"))}


async def waited_s(
    waiters: Pollers, id_: str, *, wait_s: float = 30, kind: Kind = "charge"
) -> float:
    """For how long somebody waited in vain, or until it was final."""
    clock = asyncio.get_running_loop().time
    began_at = clock()
    await waiters.until_at_rest(kind, id_, wait_s=wait_s)
    return clock() - began_at


async def together(*waits: object) -> list[float]:
    return await asyncio.gather(*waits)  # type: ignore[call-overload, no-any-return]


def test_who_waits_is_let_go_when_it_is_final() -> None:
    books = Books(a=0.2, b=6.0)
    waiters = Pollers(books.at_rest)
    a, b = hourglass.run(together(waited_s(waiters, "a"), waited_s(waiters, "b")))
    assert 0.2 <= a < 0.2 * 4 / 3 + 0.05
    assert 6.0 <= b < 6.0 + LOOK_MAX_S + 0.05


def test_a_look_comes_less_often_the_longer_the_wait() -> None:
    books = Books()
    assert hourglass.run(waited_s(Pollers(books.at_rest), "a")) == pytest.approx(30)
    moments = [moment for moment, _, _ in books.asked]
    pauses = [after - before for before, after in pairwise(moments)]
    assert moments[0] < 0.02
    assert len(moments) < 60
    assert LOOK_MAX_S <= pauses[-1] < LOOK_MAX_S + 0.05
    # Each is a third of the wait so far, up to the step in which it looks whose turn it is.
    assert all(after > before - 0.02 for before, after in pairwise(pauses))


def test_all_of_a_kind_are_one_question() -> None:
    books = Books()
    waiters = Pollers(books.at_rest)
    ids = [f"{number:03}" for number in range(200)]
    waits = [waited_s(waiters, id_, wait_s=1, kind=kind) for id_ in ids for kind in KINDS]
    hourglass.run(together(*waits))
    moments = {moment for moment, _, _ in books.asked}
    assert [kind for _, kind, _ in books.asked] == KINDS * len(moments)
    assert all(asked == ids for _, _, asked in books.asked)


def test_two_who_wait_for_the_same_are_asked_for_once_and_both_let_go() -> None:
    books = Books(a=0.0)
    waiters = Pollers(books.at_rest)
    hourglass.run(together(waited_s(waiters, "a"), waited_s(waiters, "a")))
    assert [ids for _, _, ids in books.asked] == [["a"]]


def test_who_came_later_is_looked_after_as_often_as_anybody() -> None:
    books = Books(late=20.5)
    waiters = Pollers(books.at_rest)

    async def late() -> float:
        await asyncio.sleep(20)
        return await waited_s(waiters, "late")

    _, waited = hourglass.run(together(waited_s(waiters, "early"), late()))
    assert 0.5 <= waited < 0.5 * 4 / 3 + 0.05


def test_a_database_that_is_away_meanwhile_ends_nobodys_wait() -> None:
    books = Books(a=2.0)
    books.closed_until = 9.0
    waited = hourglass.run(waited_s(Pollers(books.at_rest), "a"))
    assert 9.0 <= waited < 9.0 + LOOK_MAX_S + 0.05


def test_nobody_waits_longer_than_they_asked_or_than_anybody_may() -> None:
    waiters = Pollers(Books().at_rest)
    waits = [waited_s(waiters, "a", wait_s=wait_s) for wait_s in (0, -1, 2, 1e9)]
    assert hourglass.run(together(*waits)) == [0, 0, pytest.approx(2), pytest.approx(WAIT_MAX_S)]


def test_a_stop_lets_everybody_go_and_nobody_wait_any_more() -> None:
    async def story() -> None:
        waiters = Pollers(Books().at_rest)
        waiting = [asyncio.create_task(waited_s(waiters, str(number))) for number in range(50)]
        await asyncio.sleep(1)
        waiters.stop()
        assert await asyncio.gather(*waiting) == [pytest.approx(1)] * 50
        assert await waited_s(waiters, "late") == 0

    hourglass.run(story())


def test_who_would_be_one_too_many_is_answered_at_once_until_there_is_room() -> None:
    async def story() -> None:
        waiters = Pollers(Books().at_rest)
        waiting = [
            asyncio.create_task(waited_s(waiters, "a", wait_s=5)) for _ in range(WAITERS_MAX)
        ]
        await asyncio.sleep(0)
        assert await waited_s(waiters, "b") == 0
        await asyncio.gather(*waiting)
        assert await waited_s(waiters, "b", wait_s=1) == pytest.approx(1)

    hourglass.run(story())


def test_who_hangs_up_is_no_longer_looked_after_and_then_nobody_looks() -> None:
    async def story() -> None:
        books = Books()
        waiting = asyncio.create_task(waited_s(Pollers(books.at_rest), "a"))
        await asyncio.sleep(1)
        waiting.cancel()
        asked = len(books.asked)
        await asyncio.sleep(10)
        assert len(books.asked) == asked
        assert asyncio.all_tasks() == {asyncio.current_task()}

    hourglass.run(story())
