"""The statements that an engine makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from service.database.planning import FORGET


@contextmanager
def statements_of(
    engine: Engine, *, that: Callable[[str], bool] = lambda _: True
) -> Iterator[list[str]]:
    """Those that are made in here, as soon as each is; only those `that` is true of. Without those
    that only time brings: to plan again."""
    made: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != FORGET and that(statement):
            made.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(engine, "before_cursor_execute", note)
