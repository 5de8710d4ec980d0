"""Many requests, one round trip: who shares one, who fails alone, and who is sent away."""

import asyncio
from collections.abc import Sequence

import pytest

from api.batches import Batches
from api.edge.problems import DatabaseUnavailable, TooManyRequests


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
