"""How long a head may take, without waiting for it."""

import asyncio

import pytest

from worker.http import protocol


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.05)


async def say(*words: bytes, connections_max: int | None = None) -> bytes:
    """What a server with our protocol says to these words, until it hangs up."""
    import uvicorn

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request was made")

    config = uvicorn.Config(app, http=protocol.Protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    config.load()
    listener = await asyncio.get_running_loop().create_server(
        lambda: protocol.Protocol(config, server.server_state, {}), "127.0.0.1", 0
    )
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for word in words:
            writer.write(word)
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.mark.usefixtures("hasty")
def test_who_never_says_a_word_is_hung_up_on() -> None:
    assert asyncio.run(say()) == b""


@pytest.mark.usefixtures("hasty")
def test_who_does_not_finish_a_head_is_told() -> None:
    said = asyncio.run(say(b"GET / HTTP/1.1\r\nhost: x\r\n"))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in said


def test_past_the_limit_connections_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 0)
    assert asyncio.run(say(b"GET / HTTP/1.1\r\n")) == b""
