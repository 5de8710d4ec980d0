"""Waiting for a thing instead of for a time: until it is so, or until patience ends."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], *, deadline_s: float = 10.0, what: str = "", every_s: float = 0.02
) -> T:
    """The first truthy answer of `condition`. Raises AssertionError when none comes in time.

    An AssertionError of `condition` counts as "not yet", and its text is shown at the end.
    """
    deadline = time.monotonic() + deadline_s
    last: object = None
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"waited {deadline_s:g} s for {name}; at last: {last!r}")
        time.sleep(every_s)
