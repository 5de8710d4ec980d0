"""The steps of a sweep, none of which holds up another."""

from collections.abc import Callable, Iterable

from service.database.retrying import is_away


def all_of(steps: Iterable[Callable[[], int]]) -> int:
    """Take all steps of a sweep, whichever of them fail; what they found. Raises the first failure,
    after the last step; or at once when the database is away: to wait for it once is enough."""
    found, failures = 0, []
    for step in steps:
        try:
            found += step()
        except Exception as failure:  # noqa: BLE001  # told as soon as all were taken
            failures.append(failure)
            if is_away(failure):
                break
    if failures:
        raise failures[0]
    return found
