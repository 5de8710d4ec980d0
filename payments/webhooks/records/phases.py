"""How long each part of a post took, by the clock of the event loop.

A part that was begun and failed took as long as it lasted; one that did not take place, as over a
connection that was kept, has no time.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple


class Phases(NamedTuple):
    """Of one post, each in milliseconds: looking its host up, the TCP connection, the TLS
    handshake; and from the request to the first byte of the answer."""

    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None


NONE = Phases()


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Line:
    """The moments of one connection, from its being there (TCP) to the answer of the present
    post."""

    is_encrypted: bool = False
    connected_at: float = field(default_factory=_now)
    ready_at: float | None = None  # to be written to: TLS is there, too
    asked_at: float | None = None
    answered_at: float | None = None  # the first byte

    def is_ready(self) -> None:
        self.ready_at = _now()

    def is_asked(self) -> None:
        self.asked_at, self.answered_at = _now(), None

    def is_answered(self) -> None:
        if self.answered_at is None:
            self.answered_at = _now()


@dataclass(slots=True)
class Dialling:
    """The moments of one post on its way to a connection. Of one that was kept there are none."""

    looked_up_at: float | None = None
    found_at: float | None = None
    dialled_at: float | None = None  # the first of its host's addresses
    address: str | None = None  # that was dialled last
    line: Line | None = None  # made for it

    def looks_up(self) -> None:
        self.looked_up_at = _now()

    def has_found(self) -> None:
        self.found_at = _now()

    @property
    def has_dialled(self) -> bool:
        """Whether an address was tried. If several posts wait for the same lookup or connection,
        only one of them is notified."""
        return self.dialled_at is not None or self.found_at is not None

    def dials(self, address: str) -> None:
        self.address = address
        if self.dialled_at is None:
            self.dialled_at = _now()

    def phases(self, used: Line | None) -> Phases:
        """How long each phase took so far; `used`: the connection of the post."""
        line, now = self.line, _now()
        connected_at = None if line is None else line.connected_at
        tls_from = connected_at if line is not None and line.is_encrypted else None
        first_byte_ms = None
        if used is not None and used.asked_at is not None and used.answered_at is not None:
            first_byte_ms = _ms(used.asked_at, used.answered_at)
        return Phases(
            _ms(self.looked_up_at, self.found_at or now),
            _ms(self.dialled_at, connected_at or now),
            _ms(tls_from, now if line is None or line.ready_at is None else line.ready_at),
            first_byte_ms,
        )


# The post of the present task.
DIALLING: ContextVar[Dialling | None] = ContextVar("dialling", default=None)


def _ms(begun_at: float | None, ended_at: float) -> int | None:
    return None if begun_at is None else max(0, round((ended_at - begun_at) * 1000))
