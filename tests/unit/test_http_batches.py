"""Many requests, one round trip: who shares one, who fails alone, and who is sent away."""

import asyncio
from collections.abc import Sequence

import pytest

from api.batches import Batches
from api.edge.problems import DatabaseUnavailable, Held, TooManyRequests


class Table:
    """Takes batches; can be held up, and refuses what it is told to."""

    def __init__(self, refuses: dict[int, Exception] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._refuses = refuses or {}

    async def run(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.open.wait()
        for item in items:
            if item in self._refuses:
                raise self._refuses[item]
        return [item * 10 for item in items]


async def behind_one(table: Table, batches: Batches[int, int], count: int) -> list[object]:
    """Item 0 is under way while items 1 to `count` arrive; then it goes on."""
    table.open.clear()
    tasks = [asyncio.create_task(batches.submit(0))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batches.submit(item)) for item in range(1, count + 1)]
    await asyncio.sleep(0)
    table.open.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_who_is_alone_goes_at_once() -> None:
    async def story() -> None:
        table = Table()
        assert await Batches(table.run).submit(1) == 10
        assert table.batches == [[1]]

    asyncio.run(story())


def test_those_who_arrive_meanwhile_go_together() -> None:
    async def story() -> None:
        table = Table()
        answers = await behind_one(table, Batches(table.run), 5)
        assert answers == [0, 10, 20, 30, 40, 50]
        assert table.batches == [[0], [1, 2, 3, 4, 5]]

    asyncio.run(story())


def test_a_batch_has_a_size() -> None:
    async def story() -> None:
        table = Table()
        await behind_one(table, Batches(table.run, batch_max=2), 5)
        assert table.batches == [[0], [1, 2], [3, 4], [5]]

    asyncio.run(story())


def test_one_that_breaks_a_batch_fails_alone() -> None:
    async def story() -> None:
        table = Table({3: ValueError("3")})
        answers = await behind_one(table, Batches(table.run), 4)
        assert [answer for answer in answers if answer != 30][:4] == [0, 10, 20, answers[3]]
        assert isinstance(answers[3], ValueError)
        assert answers[4] == 40

    asyncio.run(story())


def test_a_database_that_is_away_is_away_for_all_and_not_asked_by_each() -> None:
    async def story() -> None:
        table = Table({2: DatabaseUnavailable()})
        answers = await behind_one(table, Batches(table.run), 4)
        assert [type(answer) for answer in answers[1:]] == [DatabaseUnavailable] * 4
        assert len(table.batches) == 2

    asyncio.run(story())


def test_who_shares_a_row_that_is_held_up_fails_together_and_no_other_waits_for_it() -> None:
    """Even numbers share a row, which somebody holds."""

    async def story() -> None:
        table = Table({2: Held(), 4: Held(), 6: Held()})
        batches = Batches(table.run, shared=lambda item: item % 2 == 0 or None)
        answers = await behind_one(table, batches, 6)
        assert [answers[n] for n in (1, 3, 5)] == [10, 30, 50]
        assert [type(answers[n]) for n in (2, 4, 6)] == [Held] * 3
        assert table.batches == [[0], [1, 2, 3, 4, 5, 6], [1, 3, 5], [2, 4, 6], [6]]

    asyncio.run(story())


def test_a_batch_that_is_stuck_is_not_waited_for_by_those_behind_it() -> None:
    async def story() -> None:
        free, asked = asyncio.Event(), []

        async def run(items: Sequence[int]) -> list[int]:
            asked.append(list(items))
            if items[0] == 0:
                await free.wait()
            return [item * 10 for item in items]

        batches = Batches(run, stuck_s=0.01)
        stuck = asyncio.create_task(batches.submit(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        behind = [asyncio.create_task(batches.submit(item)) for item in (1, 2)]
        assert await asyncio.wait_for(asyncio.gather(*behind), 10) == [10, 20]
        assert await asyncio.wait_for(batches.submit(3), 10) == 30  # nobody leads beside now
        assert not stuck.done()
        free.set()
        assert await stuck == 0
        assert await batches.submit(4) == 40

    asyncio.run(story())


def test_who_left_before_its_turn_leads_those_behind_it_all_the_same() -> None:
    async def story() -> None:
        table = Table()
        table.open.clear()
        batches = Batches(table.run)
        tasks = [asyncio.create_task(batches.submit(item)) for item in range(4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        table.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[1], asyncio.CancelledError)
        assert [answers[n] for n in (0, 2, 3)] == [0, 20, 30]

    asyncio.run(story())


def test_behind_too_many_one_is_sent_away() -> None:
    async def story() -> None:
        table = Table()
        answers = await behind_one(table, Batches(table.run, waiting_max=3), 5)
        assert answers[:4] == [0, 10, 20, 30]
        assert [type(answer) for answer in answers[4:]] == [TooManyRequests] * 2

    asyncio.run(story())


def test_whose_turn_does_not_come_is_told_and_never_asked_for() -> None:
    async def story() -> None:
        table = Table()
        batches = Batches(table.run, deadline_s=0.01)
        table.open.clear()
        answers = await asyncio.gather(
            *(batches.submit(item) for item in range(3)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {DatabaseUnavailable}
        table.open.set()
        assert await batches.submit(7) == 70
        asked = [item for batch in table.batches for item in batch]
        assert asked == [*table.batches[0], 7]

    asyncio.run(story())


@pytest.mark.parametrize("answers", [[], [1, 2]])
def test_a_batch_that_is_answered_wrongly_is_an_error_and_no_riddle(answers: list[int]) -> None:
    async def story() -> None:
        async def run(_: Sequence[int]) -> list[int]:
            return answers

        with pytest.raises(RuntimeError, match="for 1 items"):
            await asyncio.wait_for(Batches(run).submit(1), 5)

    asyncio.run(story())
