"""A line to a server that can be cut: for a while, or at a byte of what is sent or answered."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, with a RST
LOOK_S = 0.2


@dataclass
class Line:
    """Connections to 127.0.0.1 go on to another port, byte by byte."""

    target: int
    listener: socket.socket
    # The next connection is cut after so many bytes, there or back; None = it is not.
    there: int | None = None
    back: int | None = None
    # Connections that were cut since it was opened.
    cuts: int = 0
    # Bytes that were carried since it was opened, there and back.
    carried: dict[str, int] = field(default_factory=lambda: {"there": 0, "back": 0})
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[socket.socket] = field(default_factory=set)
    _closing: bool = False
    _refusing: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def cut_at(self, *, there: int | None = None, back: int | None = None) -> None:
        """Cut what comes next, once, after so many bytes of the request or of the answer. What is
        connected already is hung up."""
        with self._lock:
            self.there, self.back = there, back
        self.hang_up()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """No connection comes about until the end of the `with`."""
        port = self.listener.getsockname()[1]
        self._refusing = True
        # Close alone does not end it while another thread waits for somebody to come.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()
        try:
            yield
        finally:
            self.listener = _listening(port)
            self._refusing = False

    def hang_up(self) -> None:
        """End all connections."""
        with self._lock:
            connections, self._open = list(self._open), set()
        for connection in connections:
            _reset(connection)

    def serve(self) -> None:
        while not self._closing:
            if self._refusing:
                threading.Event().wait(0.02)
                continue
            try:
                client, _ = self.listener.accept()
            except (TimeoutError, OSError):
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._closing = True
        self.listener.close()
        self.hang_up()

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            _reset(client)
            return
        with self._lock:
            there, back = self.there, self.back
            self.there = self.back = None
            self._open |= {client, server}
        both = (client, server)
        there_too = (client, server, "there", there, both)
        threading.Thread(target=self._pump, args=there_too, daemon=True).start()
        self._pump(server, client, "back", back, both)

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        way: str,
        left: int | None,
        both: tuple[socket.socket, ...],
    ) -> None:
        try:
            source.settimeout(None)
            while True:
                if left == 0:
                    self.cuts += 1
                    break
                if not (some := source.recv(65_536 if left is None else left)):
                    break
                # Before: whoever hears the last of it may ask at once how much it was.
                self.carried[way] += len(some)
                sink.sendall(some)
                if left is not None:
                    left -= len(some)
        except OSError:
            pass  # the other half was cut, or the caller has left
        for one in both:
            _reset(one)
        with self._lock:
            self._open -= set(both)


@contextmanager
def cuttable(target: int) -> Iterator[Line]:
    """A line to a port of 127.0.0.1, until the end of the `with`."""
    line = Line(target, _listening(0))
    thread = threading.Thread(target=line.serve, name="cuttable", daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join(5)


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    listener.settimeout(LOOK_S)
    return listener


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Wakes up the thread that reads; close alone does not.
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already
    connection.close()
