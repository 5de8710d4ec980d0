"""The steps of a call that a transport must carry out: send, pause, publish. It may block, or
await.

The rules for each way to the service are generators: they yield a step, and receive its result.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from infra.billing.contract.messages.message import Message

T = TypeVar("T")

# Concurrent calls. One that waits for a final state keeps its connection for as long, so there are
# more of them than connections to a broker.
CONNECTIONS_MAX = 32
# The largest valid answer is a page of 100 charges with all the metadata they may have: 3 MB.
ANSWER_MAX_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 64 * 1024


class Answer(NamedTuple):
    """The service's answer. `headers.get` finds names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """There was no answer, and why.

    `is_sent`: the request may have arrived. `was_kept`: on a connection that was open since an
    earlier request, and that the peer had closed. `is_hopeless`: the next try ends the same.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_sent: bool = False,
        was_kept: bool = False,
        is_hopeless: bool = False,
    ) -> None:
        super().__init__(reason)
        self.is_sent = is_sent
        self.was_kept = was_kept
        self.is_hopeless = is_hopeless


@dataclass(frozen=True, slots=True)
class Send:
    """One request over HTTP. Its result: an Answer within `timeout_s`; NoAnswer is thrown in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in seconds. It has no result."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages for the broker. Its result: for each None if the broker has it, else why not."""

    batch: Sequence[Message]


Step = Send | Pause | Publish
Steps = Generator[Step, Any, T]


def run(steps: "Steps[T]", act: Callable[[Step], Any]) -> T:
    """The result of the steps, each carried out by `act`, which may raise NoAnswer."""
    try:
        step = next(steps)
        while True:
            try:
                came = act(step)
            except NoAnswer as silence:
                step = steps.throw(silence)
            else:
                step = steps.send(came)
    except StopIteration as end:
        returned: T = end.value
        return returned
