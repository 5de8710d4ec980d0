"""What the drainers of a process work with."""

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
    """What a drainer works with."""

    targets: Targets
    vault: Vault
    ask: Ask
    clock: Callable[[], float]  # seconds since the epoch
    dice: Callable[[], float]  # [0, 1)
    # Under way at all endpoints of the process: beyond that, each has one.
    posts_max: int = 4_096
    # Told what was posted, once what came of it is recorded.
    counted: Callable[[Sequence[Answered], Sequence[Record]], None] = uncounted
    # Whether it wants to know which trace each belongs to.
    traced: bool = False
    # Whether this process hears past the broker what is due (`listening`); and how many seconds a
    # drainer with nothing left keeps its lease for that.
    is_listening: Callable[[], bool] = bool
    linger_s: Callable[[], float] = float
