"""How long a fault kept callers waiting: from when things happened, and from nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

# Shorter silences between two requests that are accepted are the rate and a busy machine.
QUIET_S = 1.0


def accepting_again_s(accepted: Sequence[float], *, began: float, ended: float) -> float:
    """Seconds from the fault until requests were accepted steadily again; 0 if they always were.

    `accepted`: when requests were, in order. A silence counts if any of it was between the two.
    """
    again = began
    for before, after in pairwise(accepted):
        if after - before > QUIET_S and before < ended and after > began:
            again = max(again, after)
    return again - began


def longest_silence_s(accepted: Sequence[float], *, began: float, ended: float) -> float:
    """The longest time between two requests that were accepted, of those with any of it between
    the two."""
    found = [b - a for a, b in pairwise(accepted) if a < ended and b > began]
    return max(found, default=0.0)


def overdue(
    born: Mapping[str, float], done: Iterable[str], *, now: float, due_s: float
) -> set[str]:
    """What was wished for `due_s` ago or earlier, and is not done."""
    return {name for name, at in born.items() if now - at >= due_s} - set(done)
