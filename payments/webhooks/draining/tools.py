"""What the drainers of a process share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from payments.access.vault import Vault
from payments.webhooks.draining.drains import Record
from payments.webhooks.draining.posting import Answered
from payments.webhooks.draining.together import Ask
from payments.webhooks.targets.dispatch import Targets


def uncounted(answered: Sequence[Answered], records: Sequence[Record]) -> None:
    """Counts nothing."""


class Tools(NamedTuple):
    """What the drainers of a process share."""

    targets: Targets
    vault: Vault
    ask: Ask
    clock: Callable[[], float]  # seconds since the epoch
    dice: Callable[[], float]  # [0, 1)
    # Posts under way at all endpoints of the process: above this number, each endpoint may have
    # one.
    posts_max: int = 4_096
    # Called with what was posted, once it is recorded.
    counted: Callable[[Sequence[Answered], Sequence[Record]], None] = uncounted
    # Whether the callback needs the trace of each.
    traced: bool = False
    # Whether this process receives notifications without the broker (`listening`); and how many
    # seconds a drainer with nothing left keeps its lease for that.
    is_listening: Callable[[], bool] = bool
    linger_s: Callable[[], float] = float
