"""A plain POST: every part of it is timed here, and only the status of the answer counts."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from infra.billing.contract.limits import HEAD_BYTES_MAX
from infra.billing.errors import InvalidRequest
from infra.billing.receiver_check.cases import Post
from infra.billing.receiver_check.grading import Answer

_HEAD = re.compile(rb"HTTP/1\.[01] +([0-9]{3})[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n")

# Raises OSError for an address that may not be dialled; the flag says whether TLS is used.
Guard = Callable[[str, bool], None]


class TargetRefused(OSError):
    """The address must not be dialled."""


class Target:
    """The receiver. Its name is resolved once, and every address is checked before any is dialled,
    so only checked addresses are dialled."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        answer_s: float,
        pause_s: float,
        guard: Guard | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._url = _split(url)
        self._headers = headers
        self._answer_s = answer_s
        self._pause_s = pause_s
        self._guard = guard
        self._tls = (tls or ssl.create_default_context()) if self._url.scheme == "https" else None
        self._addresses: Sequence[tuple[int, tuple[object, ...]]] = ()

    def post(self, post: Post) -> Answer:
        """What is answered within `answer_s` seconds, in which all is done."""
        began = time.monotonic()
        deadline = began + self._answer_s
        try:
            with self._connected(deadline) as connection:
                self._send(connection, post, deadline)
                status = _status(connection, deadline)
        except OSError as error:
            return Answer(None, _word_for(error), time.monotonic() - began)
        said = "bad_response" if status is None else None
        return Answer(status, said, time.monotonic() - began)

    def _connected(self, deadline: float) -> socket.socket:
        if not self._addresses:
            self._addresses = self._resolved(deadline)
        failure: OSError = OSError("no address")
        for family, address in self._addresses:
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(address)
                if self._tls is None:
                    return connection
                return self._tls.wrap_socket(connection, server_hostname=self._url.hostname)
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _resolved(self, deadline: float) -> list[tuple[int, tuple[object, ...]]]:
        """In a separate thread, as a resolver has no timeout."""
        found: list[tuple[int, tuple[object, ...]]] = []
        failed: list[OSError] = []
        port = self._url.port or (443 if self._tls else 80)

        def resolve() -> None:
            try:
                told = socket.getaddrinfo(self._url.hostname, port, type=socket.SOCK_STREAM)
                found.extend((one[0], one[4]) for one in told)
            except OSError as error:
                failed.append(error)
            except UnicodeError:
                failed.append(socket.gaierror("no name"))

        thread = threading.Thread(target=resolve, name="resolve", daemon=True)
        thread.start()
        thread.join(_left(deadline))
        if failed or not found:
            raise failed[0] if failed else TimeoutError
        for _, address in found:
            if self._guard is not None:
                self._guard(str(address[0]), self._tls is not None)
        return found

    def _send(self, connection: socket.socket, post: Post, deadline: float) -> None:
        """Send head and body; a peer that closes in the meantime may have answered all the same."""
        size = -(-len(post.body) // post.parts)
        parts = [post.body[at : at + size] for at in range(0, len(post.body), size)]
        connection.settimeout(_left(deadline))
        try:
            connection.sendall(self._head(post))
            for number, part in enumerate(parts):
                if number:
                    time.sleep(min(self._pause_s, _left(deadline)))
                connection.settimeout(_left(deadline))
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _head(self, post: Post) -> bytes:
        path = self._url.path or "/"
        headers = {
            "host": self._url.netloc,
            "content-type": "application/json",
            "content-length": str(len(post.body)),
            "user-agent": "billing-endpoint-check/1",
            "connection": "close",
            **self._headers,
            **post.headers,
        }
        lines = [f"POST {path}{'?' + self._url.query if self._url.query else ''} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _split(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        found.port  # noqa: B018  # raises ValueError for one that is none
        url.encode("ascii")
    except ValueError:
        found = None
    if (
        found is None
        or found.scheme not in ("http", "https")
        or not found.hostname
        or "@" in found.netloc
        or any(c.isspace() or not c.isprintable() for c in url)
    ):
        raise InvalidRequest("url must be like https://example.com/webhooks", param="url")
    return found


def _status(connection: socket.socket, deadline: float) -> int | None:
    """The status of the answer; None if it is not HTTP. Interim answers are skipped."""
    received, at = b"", 0
    while len(received) < HEAD_BYTES_MAX:
        connection.settimeout(_left(deadline))
        more = connection.recv(16 * 1024)
        received += more
        while (head := _HEAD.match(received, at)) is not None:
            if int(head[1]) >= 200:
                return int(head[1])
            at = head.end()
        if not more:
            if not received:
                raise ConnectionResetError("closed without a word")
            return None
    return None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _word_for(error: OSError) -> str:
    """The words are those with which the service records its attempts."""
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return word
    return "unreachable"


_WORDS: tuple[tuple[type[OSError], str], ...] = (
    (TargetRefused, "target_not_allowed"),
    (TimeoutError, "timeout"),
    (socket.gaierror, "dns_failed"),
    (ssl.SSLError, "tls_error"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionError, "connection_closed"),
)
