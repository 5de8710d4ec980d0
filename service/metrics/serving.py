"""`GET /metrics` of a process, on its own port: OpenMetrics, or Prometheus' older text."""

import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prometheus_client import exposition, start_http_server

from service import log
from service.metrics.metric_catalogue import REGISTRY
from service.settings import Settings, variable

logger = log.get(__name__)

# A process that is still stopping may use the port; after that, its successor gets it.
AGAIN_S = 5.0
# A scraper sends its request as soon as it is connected.
SILENCE_S = 10.0


def answer(accept: str | None) -> tuple[bytes, str]:
    """The body in the format that the client accepts, and its content type."""
    encode, content_type = exposition.choose_encoder(accept or "")
    return encode(REGISTRY), content_type


def serve(settings: Settings) -> Callable[[], None]:
    """Serve on BILLING_METRICS_PORT, if that is set; returns a function that ends it.

    A port that is in use stops no payment: it is logged once, and retried until it is free.
    """
    if not settings.metrics_port:
        return lambda: None
    ended = threading.Event()
    thread = threading.Thread(
        target=_serve, args=(settings, ended), name="metrics-start", daemon=True
    )
    thread.start()

    def end() -> None:
        ended.set()
        thread.join(AGAIN_S)

    return end


def _impatient(handler: Any) -> Any:
    """The handler with a timeout, so that a silent connection does not occupy a thread."""

    class Impatient(handler):  # type: ignore[misc]
        timeout = SILENCE_S

        def handle(self) -> None:
            with suppress(TimeoutError):
                super().handle()

    return Impatient


def _serve(settings: Settings, ended: threading.Event) -> None:
    is_logged = False
    while not ended.is_set():
        try:
            server, thread = start_http_server(
                settings.metrics_port, settings.metrics_host, REGISTRY
            )
            server.RequestHandlerClass = _impatient(server.RequestHandlerClass)
        except OSError as failure:
            if not is_logged:
                is_logged = True
                logger.error(
                    "no metrics",
                    see=f"{variable('metrics_host')}, {variable('metrics_port')}",
                    host=settings.metrics_host,
                    port=settings.metrics_port,
                    error=errno.errorcode.get(failure.errno or 0, type(failure).__name__),
                )
            ended.wait(AGAIN_S)
            continue
        logger.info(
            "metrics", url=f"http://{settings.metrics_host}:{settings.metrics_port}/metrics"
        )
        ended.wait()
        server.shutdown()
        server.server_close()
        thread.join(AGAIN_S)
