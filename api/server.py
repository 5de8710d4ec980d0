"""The server: uvicorn around the application, with our settings, our log and our end."""

import asyncio
import gc
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from api.app import make
from api.app_state import AppState
from api.edge.protocol import Protocol
from service import log
from service.settings import Settings

logger = log.get("billing.http")

# Between two requests. Longer than clients and proxies keep their connections, or they would send
# into one that was closed a moment ago.
KEEP_ALIVE_S = 75
# What is under way has this long after SIGTERM: every request ends within its deadline.
SHUTDOWN_S = 10
BACKLOG = 2_048
# How often answers get a new Date, which is in whole seconds.
DATE_EVERY_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's, which lets those go who wait before it waits for them."""

    def __init__(self, config: uvicorn.Config, app_state: AppState) -> None:
        super().__init__(config)
        self._app_state = app_state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_to_exit = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # All that was imported lives as long as the process. Looking through it again for garbage
        # would hold up every request for a tenth of a second, each few thousand of them.
        gc.collect()
        gc.freeze()
        for server in self.servers:
            for listener in server.sockets:
                logger.info("listening", url=_url(listener))

    async def main_loop(self) -> None:
        """As uvicorn's, which looks ten times a second whether it is to end, and is a quarter of
        what all processes take while there is nothing to do."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # 0 is the one of ten that has a new Date made
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_EVERY_S):
                    await self._is_to_exit.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's; it comes as a signal, and ends the wait above."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_to_exit.set)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which raises what it was sent again at the end: a stop that was asked for
        would end in a traceback, and in no good exit status."""
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
    """Serve until SIGTERM or SIGINT. Raises SystemExit when it can't listen there."""
    # Its steps at start and end are of its own interest; that it listens is told above.
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
        access_log=False,  # it quotes paths and queries: somebody's customer
        server_header=False,
        proxy_headers=False,  # nothing here depends on where a request comes from
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
    )
    try:
        Server(config, app_state).run()
    except SystemExit:  # uvicorn's, after a line about what the system said
        raise SystemExit(
            f"nothing is served at {settings.http_host}:{settings.http_port};"
            " see BILLING_HTTP_HOST and BILLING_HTTP_PORT"
        ) from None
