"""The server wakes only to renew the date that it answers with, and ends when it is told to."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import uvicorn
import uvloop

from api import http_server
from api.http_server import Server
from tests.support.waiting import patience_s

T = TypeVar("T")


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request was made")


class Counted(Server):
    """A server that serves nobody, and counts how often it wakes."""

    ticks = 0

    def __init__(self) -> None:
        config = uvicorn.Config(no_app, port=0, lifespan="off", ws="none", log_config=None)
        super().__init__(config, SimpleNamespace(stop_waiting=lambda: None))  # type: ignore[arg-type]

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


def in_its_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop as `serve` has it: how a signal wakes one is the loop's own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def until_started(running: Server) -> None:
    async with asyncio.timeout(patience_s()):
        while not running.started or running._loop is None:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)


def test_a_signal_ends_it_at_once_and_not_with_the_next_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "DATE_EVERY_S", 3600.0)

    async def run() -> Counted:
        running = Counted()
        serving = asyncio.create_task(running.serve())
        await until_started(running)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, patience_s())
        return running

    assert in_its_loop(run()).ticks == 2


def test_the_date_of_its_answers_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "DATE_EVERY_S", 0.01)

    async def run() -> None:
        running = Counted()
        serving = asyncio.create_task(running.serve())
        await until_started(running)
        running.server_state.default_headers = [(b"date", b"of yesterday")]
        async with asyncio.timeout(patience_s()):
            while dict(running.server_state.default_headers)[b"date"] == b"of yesterday":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(serving, patience_s())

    in_its_loop(run())
