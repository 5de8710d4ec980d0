"""Servers of one process, lent to its forks one after the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

# More databases than any fork makes.
DATABASES_MAX = 10_000


class _FromAfar:
    """A server's process, as somebody sees it who isn't its parent and can't wait for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 1
        return None


def lend(servers: Any, number: int) -> None:
    """In a fork: its fixtures find these servers, and names of databases that are its own.

    A test that asks for durable servers means to crash them, and gets a pair of its own.
    """
    from local.embedded import throwaway
    from tests.support import databases

    start, make_template = throwaway.servers, databases.make_template
    for server in (servers.postgres, servers.redis):
        server._child = _FromAfar(server._child.pid)

    @contextmanager
    def lent(*, durable: bool = True) -> Iterator[Any]:
        if durable:
            with start() as own:
                yield own
        else:
            yield servers

    def made_already(postgres: Any) -> None:
        if postgres is not servers.postgres:
            make_template(postgres)

    throwaway.servers = lent  # type: ignore[assignment]
    databases.make_template = made_already
    databases._numbers = count(number * DATABASES_MAX)
