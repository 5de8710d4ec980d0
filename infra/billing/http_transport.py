"""One request over HTTP and its answer, within a deadline, on connections that are kept."""

import http.client
import io
import ssl
import threading
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from infra.billing.base_url import Root
from infra.billing.calls.stepwise import (
    ANSWER_MAX_BYTES,
    CONNECTIONS_MAX,
    PIECE_BYTES,
    Answer,
    NoAnswer,
)

# A host has two or three addresses, and any of them may not answer.
ADDRESSES = 3
TIMEOUT_MIN_S = 0.05


class Wire:
    """Connections to one service. Safe to use from many threads, and after a fork."""

    def __init__(self, root: Root) -> None:
        self._root = root
        # Made once: reading the certificates of all the world's authorities takes a while.
        self._tls = ssl.create_default_context() if root.scheme == "https" else None
        self._of_parents: list[object] = []
        self._places, self._pool = self._begin()

    def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Answer:
        """Send a request, and read its answer to the end. Raises NoAnswer within `timeout_s`.

        Follows no redirect, and tries once. Finding the address of the host is the system's
        business, with the limits of its own.
        """
        ends_at = monotonic() + timeout_s
        places = self._places
        if not places.acquire(timeout=timeout_s):
            raise NoAnswer(f"all {CONNECTIONS_MAX} connections are waiting for it")
        try:
            return self._exchange(method, target, headers, body, ends_at)
        except HTTPError as error:
            raise _no_answer(error) from error
        finally:
            places.release()

    def close(self) -> None:
        """Close all idle connections."""
        former, self._pool = self._pool, self._new_pool()
        former.close()

    def after_fork(self) -> None:
        """In the child: leave the parent's connections alone."""
        self._of_parents.append(self._pool)
        self._places, self._pool = self._begin()

    def _begin(self) -> tuple[threading.BoundedSemaphore, urllib3.HTTPConnectionPool]:
        return threading.BoundedSemaphore(CONNECTIONS_MAX), self._new_pool()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        host, port = self._root.host, self._root.port
        if self._tls is None:
            return _Pool(host, port, maxsize=CONNECTIONS_MAX)
        return _TlsPool(
            host,
            port,
            maxsize=CONNECTIONS_MAX,
            ssl_context=self._tls,
            cert_reqs="CERT_REQUIRED",
        )

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        ends_at: float,
    ) -> Answer:
        left_s = max(TIMEOUT_MIN_S, ends_at - monotonic())
        response = self._pool.urlopen(
            method,
            target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(total=left_s, connect=left_s / ADDRESSES),
            preload_content=False,
        )
        # In pieces: only a read that finds the end notices when the end is missing.
        pieces, size = [], 0
        while piece := response.read(PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > ANSWER_MAX_BYTES:
                response.close()
                raise NoAnswer("its answer has no end", is_sent=True, is_hopeless=True)
        return Answer(response.status, response.headers, b"".join(pieces))


class _Unhurried:
    """A socket whose reader gives up at `ends_at`, even if data keeps arriving.

    A socket's own timeout restarts with every byte.
    """

    def __init__(self, sock: Any, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._ends_at))


class _Reader(io.RawIOBase):
    def __init__(self, sock: Any, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_at - monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, ends_at: float, **options: Any) -> None:
        super().__init__(_Unhurried(sock, ends_at), *args, **options)  # type: ignore[arg-type]


class _Deadlined(HTTPConnection):
    """A connection that keeps to the deadline, and says of an error whether it was kept open."""

    _answers = 0

    def connect(self) -> None:
        super().connect()
        self._answers = 0

    def getresponse(self) -> Any:
        # urllib3 has put what is left of the total into the timeout.
        self.response_class = partial(_Response, ends_at=monotonic() + float(self.timeout or 0))  # type: ignore[assignment]
        try:
            response = super().getresponse()
        except ConnectionError as error:
            error.was_kept = self._answers > 0  # type: ignore[attr-defined]
            raise
        self._answers += 1
        return response


class _DeadlinedTls(_Deadlined, HTTPSConnection):
    """Likewise, with TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Deadlined


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _DeadlinedTls


def _no_answer(error: HTTPError) -> NoAnswer:
    if isinstance(error, NewConnectionError | ConnectTimeoutError):
        return NoAnswer(_reason(error))
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted ({cause.verify_message})"
            return NoAnswer(reason, is_hopeless=True)
    was_kept = any(getattr(cause, "was_kept", False) for cause in causes)
    return NoAnswer(_reason(error), is_sent=True, was_kept=was_kept)


def _reason(error: BaseException) -> str:
    """The innermost error of the system, without urllib3's objects and addresses around it."""
    *_, innermost = _causes(error)
    if isinstance(innermost, TimeoutError) or "timed out" in str(innermost):
        return "timed out"
    return getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__


def _causes(error: BaseException) -> "list[BaseException]":
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        inner = next((arg for arg in following.args if isinstance(arg, BaseException)), None)
        following = inner or following.__cause__ or following.__context__
    return causes
