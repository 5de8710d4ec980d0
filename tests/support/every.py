"""One collected test over all rows of a table: each that fails is named, and none hides another.

`@every("text, fix", [...])` stands where `@pytest.mark.parametrize` would, for rows that need
nothing of their own: they share the fixtures of the test.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest

# `pytest.raises` and `pytest.fail` end a test with an exception of their own.
# What is stacked fails with a group; a row that skips would hide those that failed before it.
_FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception, BaseExceptionGroup)
_SHOWN_MAX = 60  # characters of a value that names its row
_Param = type(pytest.param())

Test = Callable[..., None]


def every(
    names: str | tuple[str, ...],
    rows: Iterable[object],
    *,
    ids: Callable[[Any], object] | Iterable[object] | None = None,
) -> Callable[[Test], Test]:
    """Decorate a test to run once for each row, with the row's values as the arguments `names`.

    Several names take one value each from a row, one name takes the row whole. A row is named by
    `ids` as in `parametrize`, by the id of a `pytest.param`, or by its values. Raises, in the
    test, all failures together, each with the name of its row; here, ValueError for a table
    without rows, which would prove nothing, and TypeError for a name that the test does not take.
    """
    fields = names if isinstance(names, tuple) else tuple(one.strip() for one in names.split(","))
    table = [_row(row, len(fields)) for row in rows]
    if not table:
        raise ValueError("a table without rows proves nothing")
    if callable(ids):
        named = [("-".join(_shown(value, ids) for value in values), values) for _, values in table]
    elif ids is not None:
        named = [(str(one), row) for one, (_, row) in zip(ids, table, strict=True)]
    else:
        named = [(name or "-".join(map(_shown, values)), values) for name, values in table]

    def decorate(test: Test) -> Test:
        if inspect.iscoroutinefunction(test) or inspect.isgeneratorfunction(test):
            raise TypeError(f"{test.__name__} would not run: a table takes plain functions")

        @wraps(test)
        def over_all(**fixtures: object) -> None:
            failures = []
            for name, values in named:
                try:
                    test(**fixtures, **dict(zip(fields, values, strict=True)))
                except _FAILURES as failure:
                    if "from pytest-timeout" in str(failure):
                        raise  # nobody watches over the rows that are left
                    failure.add_note(f"in the row {name}")
                    failures.append((name, failure))
            _tell(failures, len(named))

        signature = inspect.signature(test)
        if unknown := set(fields) - set(signature.parameters):
            raise TypeError(f"{test.__name__} does not take {', '.join(sorted(unknown))}")
        # What is left are fixtures, for pytest to pass.
        left = [one for name, one in signature.parameters.items() if name not in fields]
        over_all.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return over_all

    return decorate


def _tell(failures: list[tuple[str, BaseException]], rows: int) -> None:
    """All of them, each with the name of its row."""
    skipped = [one for _, one in failures if isinstance(one, pytest.skip.Exception)]
    if len(skipped) == rows:
        raise skipped[0]  # Not one row ran. Of a group of skips pytest can't make a report.
    if failures:
        told = f"{len(failures)} of {rows} rows: {', '.join(name for name, _ in failures)}"
        raise BaseExceptionGroup(told, [failure for _, failure in failures])


def _row(row: object, width: int) -> tuple[str | None, tuple[object, ...]]:
    """The name that a row brings, and its values."""
    if isinstance(row, _Param):
        if row.marks:
            raise TypeError("a row has no marks of its own: it is not a test of its own")
        return row.id if isinstance(row.id, str) else None, tuple(row.values)
    if width == 1:
        return None, (row,)
    if not isinstance(row, Iterable):
        raise TypeError(f"a row of {width} values, not {row!r}")
    return None, tuple(row)


def _shown(value: object, ids: Callable[[Any], object] = lambda _: None) -> str:
    given = ids(value)
    return str(given) if given is not None else repr(value)[:_SHOWN_MAX]
