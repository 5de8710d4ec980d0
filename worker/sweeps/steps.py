"""The steps of a sweep; a step that fails does not stop the others."""

from collections.abc import Callable, Iterable

from service.database.retrying import is_away


def all_of(steps: Iterable[Callable[[], int]]) -> int:
    """Take all steps of a sweep, even if some fail; returns how much they found. Raises the
    first failure after the last step; or at once if the database is away: waiting for it once is
    enough."""
    found, failures = 0, []
    for step in steps:
        try:
            found += step()
        except Exception as failure:  # noqa: BLE001  # raised once all were taken
            failures.append(failure)
            if is_away(failure):
                break
    if failures:
        raise failures[0]
    return found
