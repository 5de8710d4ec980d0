"""How long each state of a connection may take, without waiting for it."""

import asyncio
import contextlib
from typing import Any

import pytest

from api.edge import protocol
from tests.support.every import every


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_TIMEOUT_S", "MESSAGE_TIMEOUT_S", "LINGER_S", "WRITE_TIMEOUT_S"):
        # Long enough for a busy machine to take and answer what is sent at once.
        monkeypatch.setattr(protocol, name, 0.5)


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request was made")


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """Answers without having read the body, as to somebody without a key."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def never_answers(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def talks(scope: Any, receive: Any, send: Any) -> None:
    """Says far more than any buffer holds."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000):
        await send({"type": "http.response.body", "body": b"z" * 100_000, "more_body": True})


async def say(*words: bytes, app: Any = no_app, every_s: float = 0.0, reads: bool = True) -> bytes:
    """What a server with our protocol says to these words, until it hangs up; the last one is said
    again and again, every so often, if `every_s` is given."""
    import uvicorn

    all_gone = asyncio.Event()

    class Watched(protocol.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            all_gone.set()

    config = uvicorn.Config(app, http=protocol.Protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    config.load()
    listener = await asyncio.get_running_loop().create_server(
        lambda: Watched(config, server.server_state, {}), "127.0.0.1", 0
    )
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for word in words:
            writer.write(word)
            await writer.drain()
        dripping = asyncio.create_task(drip(writer, words[-1], every_s)) if every_s else None
        try:
            if not reads:
                await asyncio.wait_for(all_gone.wait(), 10)
                return b""
            return await asyncio.wait_for(until_gone(reader), 10)
        finally:
            if dripping is not None:
                dripping.cancel()
            writer.close()


async def until_gone(reader: asyncio.StreamReader) -> bytes:
    """All that is said, also when the last drops come after the end and are answered by a reset."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(1 << 16):
            said += part
    return said


async def drip(writer: asyncio.StreamWriter, drop: bytes, every_s: float) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(every_s)
            writer.write(drop)
            await writer.drain()


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


BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
ONE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.usefixtures("hasty")
@every(
    "words, app, status",
    [
        ((BODY, b"y"), refuses, 401),  # answered, and its body goes on
        ((CHUNKS, b"1\r\ny\r\n"), refuses, 401),
        ((CHUNKS + b"0\r\n", b"x: y\r\n"), refuses, 401),  # trailers
        ((ONE, b"\r\n"), refuses, 401),  # what begins no request
        ((BODY, b"y"), never_answers, None),
    ],
)
def test_who_drips_is_hung_up_on_in_every_state(
    words: tuple[bytes, ...], app: Any, status: int | None
) -> None:
    said = asyncio.run(say(*words, app=app, every_s=0.01))
    assert said[9:12] == (b"" if status is None else str(status).encode())
    assert said.count(b"HTTP/1.1") == (status is not None)


@pytest.mark.usefixtures("hasty")
def test_who_does_not_take_an_answer_is_hung_up_on() -> None:
    assert asyncio.run(say(ONE, app=talks, reads=False)) == b""


@pytest.mark.parametrize(
    "endless",
    [
        b"x: " + b"y" * 1_000_000,  # one trailer
        b"x: y\r\n" * 200_000,  # many
        b"1;" + b"e" * 1_000_000,  # an extension of a chunk
    ],
)
def test_what_is_around_a_body_has_a_size(endless: bytes) -> None:
    begin = CHUNKS + (b"" if endless.startswith(b"1;") else b"0\r\n")
    said = asyncio.run(say(begin, endless, app=never_answers))
    assert said[9:12] in (b"431", b"")  # it hung up on bytes that were still coming


def test_a_body_in_chunks_of_one_byte_is_taken() -> None:
    read = bytearray()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            read.extend(message.get("body", b""))
            if not message.get("more_body"):
                break
        await refuses(scope, receive, send)

    ones = b"1\r\ny\r\n" * 20_000
    last = CHUNKS.replace(b"host: x", b"host: x\r\nconnection: close")
    said = asyncio.run(say(last, ones + b"0\r\n\r\n", app=reads))
    assert said[9:12] == b"401"
    assert bytes(read) == b"y" * 20_000


def test_a_trailer_is_no_header() -> None:
    seen: list[Any] = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.extend(name for name, _ in scope["headers"])
        await refuses(scope, receive, send)

    last = CHUNKS.replace(b"host: x", b"host: x\r\nconnection: close")
    asyncio.run(say(last, b"0\r\nidempotency-key: other\r\n\r\n", app=reads))
    assert seen == [b"host", b"connection", b"transfer-encoding"]
