"""The async client among tasks: canceled at any point, many at once, on one loop and on another."""

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from infra import billing
from infra.billing.aio import Billing, async_wire
from infra.billing.broker_publisher import LINKS_MAX
from tests.support.scripted import (
    Drips,
    Hangs,
    HangsUp,
    Says,
    SaysAndLeaves,
    Service,
    scripted_service,
)
from tests.support.waiting import patience_s, wait_for

KEY = "bk_live_telltale"
ASKED = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1042"}
BEGUN = b"HTTP/1.1 202 Accepted\r\ncontent-length: 999999\r\n\r\n"


@pytest.fixture
def service() -> Iterator[Service]:
    with scripted_service() as running:
        yield running


def with_client(
    service: Service, test: Callable[[Billing], Coroutine[Any, Any, None]], **options: Any
) -> None:
    async def main() -> None:
        async with Billing(
            **{"url": service.url, "api_key": KEY, "timeout_s": patience_s(), **options}
        ) as client:
            await test(client)

    asyncio.run(main())


async def canceled(asking: Awaitable[Any], *, when: Callable[[], object]) -> None:
    """Begin to ask, and cancel that."""
    task = asyncio.ensure_future(asking)
    await asyncio.to_thread(wait_for, when, what="the moment to cancel")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def connections(client: Billing) -> tuple[int, int]:
    """How many are in use, and how many are kept."""
    session = client.transport()._wire._session  # type: ignore[attr-defined]
    connector = session.connector
    return len(connector._acquired), sum(map(len, connector._conns.values()))


@pytest.mark.parametrize("fault", [Hangs(), Drips(BEGUN)], ids=["unanswered", "half answered"])
def test_a_canceled_call_leaves_no_connection_and_the_next_is_answered(
    service: Service, fault: Hangs | Drips
) -> None:
    async def test(client: Billing) -> None:
        service.will(fault)
        await canceled(client.charge.create(**ASKED), when=lambda: service.asked)
        assert connections(client) == (0, 0)
        service.will(Says())
        assert (await client.charge.create(**ASKED)).charge_id == "ch_1"
        assert connections(client) == (0, 1)
        assert service.keys == ["order-1042"] * 2
        assert service.asked[0].port != service.asked[1].port

    with_client(service, test)


def test_a_call_that_is_canceled_in_its_pause_asks_no_more(service: Service) -> None:
    async def test(client: Billing) -> None:
        service.will(Says(503, headers={"retry-after": "5"}))
        await canceled(client.charge.create(**ASKED), when=lambda: service.asked)
        assert len(service.asked) == 1
        assert connections(client)[0] == 0

    with_client(service, test)


def test_a_canceled_batch_leaves_no_task_that_goes_on(service: Service) -> None:
    async def test(client: Billing) -> None:
        service.will(Hangs())

        async def all_of_them() -> None:
            async for _ in client.charge.create_many([{"amount": 1, "currency": "USD"}] * 50):
                pytest.fail("nobody answered")

        await canceled(all_of_them(), when=lambda: len(service.asked) == 8)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert connections(client) == (0, 0)

    with_client(service, test)


def test_tasks_share_few_connections(service: Service) -> None:
    async def test(client: Billing) -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(1, 201):
                group.create_task(client.charge.create(amount=n, currency="USD"))
        assert sorted(one.body["amount"] for one in service.asked) == [*range(1, 201)]
        assert len({one.port for one in service.asked}) <= async_wire.CONNECTIONS_MAX

    with_client(service, test)


def test_a_call_waits_for_a_connection_no_longer_than_it_may(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_wire, "CONNECTIONS_MAX", 1)

    async def test(client: Billing) -> None:
        service.will(Hangs())
        first = asyncio.ensure_future(client.charge.get("ch_1"))
        await asyncio.to_thread(wait_for, lambda: service.asked, what="the first")
        client.transport().calls._timeout_s = 0.2  # type: ignore[attr-defined]
        with pytest.raises(billing.Unavailable, match="all 1 connections are waiting for it"):
            await client.charge.create(**ASKED)
        first.cancel()
        assert len(service.asked) == 1

    with_client(service, test)


def test_a_kept_connection_that_was_closed_costs_no_call(service: Service) -> None:
    async def test(client: Billing) -> None:
        await client.charge.get("ch_1")
        service.will(HangsUp(), Says())
        assert (await client.charge.create(**ASKED)).charge_id == "ch_1"
        assert service.asked[0].port == service.asked[1].port != service.asked[2].port

    with_client(service, test)


def test_what_may_not_be_done_twice_is_not_sent_again_by_the_library_either(
    service: Service,
) -> None:
    """aiohttp would: a PUT on a kept connection that was closed."""

    async def test(client: Billing) -> None:
        await client.price.get("shirt")
        service.will(HangsUp(), Says())
        with pytest.raises(billing.Unavailable):
            await client.price.archive("shirt")  # by a lookup key, which may have moved
        assert [one.method for one in service.asked] == ["GET", "PUT"]

    with_client(service, test)


def test_another_loop_needs_another_client(service: Service) -> None:
    client = Billing(url=service.url, api_key=KEY)

    async def ask() -> str:
        return (await client.charge.get("ch_1")).charge_id

    async def both() -> None:
        await ask()
        with pytest.raises(billing.NotConfigured, match="make a Billing for each"):
            await asyncio.to_thread(asyncio.run, ask())
        await client.close()

    asyncio.run(both())
    for _ in range(2):  # one after the other they may be, if the former was left in order
        assert asyncio.run(_and_close(client, ask)) == "ch_1"


async def _and_close(client: Billing, ask: Callable[[], Awaitable[str]]) -> str:
    try:
        return await ask()
    finally:
        await client.close()


def test_a_forked_child_asks_on_a_connection_of_its_own(service: Service) -> None:
    async def test(client: Billing) -> None:
        await client.charge.get("ch_parent")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.events._set_running_loop(None)
                asyncio.run(client.charge.get("ch_child"))
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1]) == 0
        await client.charge.get("ch_parent")
        before, childs, after = service.asked
        assert childs.path.endswith("ch_child")
        assert before.port == after.port != childs.port

    with_client(service, test)


def test_a_canceled_message_leaves_its_link_to_the_thread_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        silent.settimeout(patience_s())
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"

        async def main() -> None:
            client = Billing(url=url, timeout_s=2 * patience_s())
            asking = [
                asyncio.ensure_future(client.charge.create(**ASKED)) for _ in range(LINKS_MAX + 1)
            ]
            links = [(await asyncio.to_thread(silent.accept))[0] for _ in range(LINKS_MAX)]
            for one in asking:
                one.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}
            for link in (silent, *links):
                link.close()  # what was under way ends, and is waited for
            await client.close()
            post = client.transport()._post  # type: ignore[attr-defined]
            assert not post._idle
            assert all(post._places.acquire(blocking=False) for _ in range(LINKS_MAX))

        asyncio.run(main())


def test_a_message_whose_turn_does_not_come_is_not_sent() -> None:
    async def main() -> None:
        async with Billing(url="redis://127.0.0.1:1", timeout_s=0.2) as client:
            pool, busy = client.transport()._pool(), threading.Event()  # type: ignore[attr-defined]
            for _ in range(LINKS_MAX):
                pool.submit(busy.wait)
            try:
                with pytest.raises(billing.Unavailable, match="all 8 links are waiting for it"):
                    await client.charge.create(**ASKED)
            finally:
                busy.set()

    asyncio.run(main())


def test_lists_are_read_with_async_for(service: Service) -> None:
    first = {"data": [{"charge_id": "ch_1"}], "has_more": True, "next_cursor": "c2"}
    last = {"data": [{"charge_id": "ch_2"}], "has_more": False, "next_cursor": None}

    async def test(client: Billing) -> None:
        service.will(Says(200, first), Says(200, last))
        page = await client.charge.list(limit=1)
        assert [one.charge_id async for one in page.auto_paging_iter()] == ["ch_1", "ch_2"]
        assert [one.query.get("cursor") for one in service.asked] == [None, ["c2"]]
        service.will(
            Says(200, {"count": 2, "list": [{"id": "p1"}], "next_cursor": "n"}),
            Says(200, {"count": 2, "list": [{"id": "p2"}]}),
        )
        listing = await client.price.list(page=1)
        assert [one.id async for one in listing.auto_paging_iter()] == ["p1", "p2"]

    with_client(service, test)


def test_a_service_that_leaves_after_its_answer_is_asked_on_another(service: Service) -> None:
    async def test(client: Billing) -> None:
        service.will(SaysAndLeaves(), Says())
        for _ in range(2):
            assert (await client.charge.get("ch_1")).charge_id == "ch_1"

    with_client(service, test)
