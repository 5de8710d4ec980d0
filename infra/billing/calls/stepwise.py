"""The steps of a call that somebody has to do: send, pause, publish. Who does them may block, or
await.

The rules of a way to the service are generators: they yield a step, and get what came of it.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from infra.billing.message import Message

T = TypeVar("T")

# Calls that ask at the same time. One that waits for a final state holds its connection for as
# long, so there are more of them than links to a broker.
CONNECTIONS_MAX = 32
# The largest honest answer is a page of 100 charges with all the metadata they may have: 3 MB.
ANSWER_MAX_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 64 * 1024


class Answer(NamedTuple):
    """What the service said. The names of headers are as `headers.get` finds them, in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """Nobody answered, and why.

    `is_sent`: the request may have arrived. `was_kept`: on a connection that was open since an
    earlier request, and that the other side had closed. `is_hopeless`: the next try ends the same.
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
    """One request over HTTP. What comes of it: an Answer within `timeout_s`; NoAnswer is thrown."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds. Nothing comes of it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages for the broker. What comes of it: for each None if the broker has it, else why
    not."""

    batch: Sequence[Message]


Step = Send | Pause | Publish
Steps = Generator[Step, Any, T]


def run(steps: "Steps[T]", act: Callable[[Step], Any]) -> T:
    """What the steps return, each done by `act`, which may raise NoAnswer."""
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
