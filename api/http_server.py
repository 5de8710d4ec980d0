"""The server: uvicorn around the application, with our settings, logging and shutdown."""

import asyncio
import gc
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from api.app_state import AppState
from api.asgi_app import make
from api.edge.protocol import Protocol
from service import log
from service.settings import Settings

logger = log.get("billing.http")

# The keep-alive. Longer than clients and proxies keep idle connections, or they would send on one
# that was just closed.
KEEP_ALIVE_S = 75
# What is under way has this long after SIGTERM: every request ends within its deadline.
SHUTDOWN_S = 10
BACKLOG = 2_048
# How often the Date of answers is updated; it has whole seconds.
DATE_EVERY_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's, which releases waiting requests before it waits for them to end."""

    def __init__(self, config: uvicorn.Config, app_state: AppState) -> None:
        super().__init__(config)
        self._app_state = app_state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_to_exit = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # All imported objects live as long as the process. Scanning them again for garbage would
        # block every request for a tenth of a second, each few thousand requests.
        gc.collect()
        gc.freeze()
        for server in self.servers:
            for listener in server.sockets:
                logger.info("listening", url=_url(listener))

    async def main_loop(self) -> None:
        """Like uvicorn's, which checks ten times a second whether to stop, and so uses a quarter of
        the CPU of all idle processes."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # 0 updates the Date
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_EVERY_S):
                    await self._is_to_exit.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Like uvicorn's; called for a signal, it ends the wait above."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_to_exit.set)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Like uvicorn's, which raises the signal again at the end: a requested stop would end in a
        traceback, and with a bad exit status."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app_state.stop_waiting()
        await super().shutdown(sockets)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, app_state: AppState) -> None:
    """Serve until SIGTERM or SIGINT. Raises SystemExit if the address can't be used."""
    # Its steps at start and end are internal; that it listens is logged above.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        make(app_state),
        host=settings.http_host,
        port=settings.http_port,
        loop="uvloop",
        http=Protocol,
        lifespan="on",
        ws="none",
        log_config=None,  # service/log.py owns logging
        access_log=False,  # it quotes paths and queries, with personal data
        server_header=False,
        proxy_headers=False,  # nothing here depends on where a request comes from
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
    )
    try:
        Server(config, app_state).run()
    except SystemExit:  # uvicorn's, after it has logged the system's error
        raise SystemExit(
            f"nothing is served at {settings.http_host}:{settings.http_port};"
            " see BILLING_HTTP_HOST and BILLING_HTTP_PORT"
        ) from None
