"""The port of a target: the message to send, its result, and what a kind consists of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from yarl import URL

from infra.billing.contract.endpoint_checks import is_accepted
from payments.webhooks.pacing.local_words import LOCAL
from payments.webhooks.records.phases import NONE, Phases
from payments.webhooks.targets.streams import Stream


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the parts of a post may take, in seconds."""

    connect_s: float = 5.0  # TCP and TLS together.
    # Everything: DNS, connection, TLS, sending, the answer's head and body. Standard Webhooks asks
    # for 15 to 30 s.
    total_s: float = 15.0
    # The status decides; the body is kept for people to read. A slow one is cut off.
    body_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Message:
    """One webhook to send: the exact bytes that are signed, and the headers that go with them.

    `credentials` are `user:password` as in a URL, percent-encoded; the URL itself has none.
    Endpoints never share a connection to a queue, not even to the same queue (`endpoint_id`), as an
    event for both would appear twice on it under one id.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    credentials: str | None = None
    endpoint_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a post: a status code, or that a queue took it, or a word that says why not.

    The words: `timeout`, `connect_timeout`, `dns_failed`, `connection_refused`, `unreachable`,
    `connection_closed`, `tls_error`, `bad_response`, `target_not_allowed`, `invalid_url`,
    `internal_error`; of queues also `authentication_failed`, `target_not_found`, `unroutable`,
    `target_refused`.
    """

    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    remote_ip: str | None = None
    body: str | None = None
    retry_after: str | None = None
    headers: Mapping[str, str] | None = None  # as they may be kept
    phases: Phases = NONE

    @property
    def is_ours(self) -> bool:
        """Whether it failed by a fault on our side (`local_words`), so that it is no attempt."""
        return self.error in LOCAL

    @property
    def is_ok(self) -> bool:
        return is_accepted(self.status_code, self.error)


class NotTaken(Exception):
    """A post that failed, in one word; `said` is the target's own message."""

    def __init__(self, word: str, said: str | None = None) -> None:
        super().__init__(word)
        self.word, self.said = word, said


class Line(Protocol):
    """A connection to a queue that is kept open; many messages may be under way over it."""

    @property
    def is_open(self) -> bool:
        """Whether another message may be sent over it."""
        ...

    async def send(self, message: Message) -> str | None:
        """Return once the target has the message for good; returns the target's message, if any.

        Raises NotTaken if the target refused it, and OSError if the connection broke. Need not end
        by itself: the caller has a deadline, and closes the connection when that has passed.
        """
        ...

    async def close(self) -> None:
        """Close it as the protocol requires. Need not end by itself, either."""
        ...


# Starts the protocol on a new stream: authenticates, opens what is needed. Raises like `Line.send`.
Open = Callable[[Stream, Message], Awaitable[Line]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of target.

    `schemes` says of each whether it is encrypted, and its port. `check` raises
    `payments.payment_errors.InvalidRequest` for a URL that it can't use; it runs when an endpoint
    is saved. `opener` imports the protocol's library lazily, as only a process that delivers needs
    it.
    """

    name: str
    schemes: Mapping[str, tuple[bool, int]]
    example: str
    check: Callable[[URL], None]
    opener: Callable[[], Open] | None = None  # for a queue; HTTP has its own client
    takes_credentials: bool = False
