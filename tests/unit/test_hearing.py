"""Look-ups of what processors bring: so many at once, and no queue without end."""

import asyncio
import threading

import pytest

from api import hearing
from api.edge.problems import ProcessorSilent
from api.hearing import Hearing


def test_who_gets_no_place_is_told_and_a_place_is_free_when_its_thread_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "WAIT_S", 0.01)
    may_end, begun = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        may_end.wait()
        return "slow"

    async def story() -> list[str]:
        hear = Hearing(at_once=1)
        try:
            return await told_by(hear)
        finally:
            may_end.set()  # also when it fails
            hear.close()

    async def told_by(hear: Hearing) -> list[str]:
        first = asyncio.create_task(hear(slow))
        await asyncio.to_thread(begun.wait)
        with pytest.raises(ProcessorSilent):
            await hear(lambda: "second")
        first.cancel()  # the processor hung up
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(ProcessorSilent):
            await hear(lambda: "its thread is still busy")
        may_end.set()
        monkeypatch.setattr(hearing, "WAIT_S", 60.0)
        return [await hear(lambda: "third")]

    assert asyncio.run(story()) == ["third"]
