"""The place: throwaway servers and the receiver, common to all contenders of a run."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import rabbitmq
from benchmarks.rabbitmq import RabbitMQ
from benchmarks.receiver import Receiver
from local.embedded import throwaway


@dataclass(frozen=True)
class Place:
    """A durable PostgreSQL, a Redis with its append-only file, a receiver, a folder for logs."""

    servers: throwaway.Servers
    receiver: Receiver
    postgres: psycopg.Connection  # to look and to tidy up with; autocommit
    folder: Path
    rabbitmq: RabbitMQ | None = None  # where one runs already
    _broker_databases: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def roots(self) -> dict[str, int]:
        """The servers' process ids, for the meter."""
        return {"postgres": self.servers.postgres.pid, "redis": self.servers.redis.pid}

    def create_database(self, name: str) -> str:
        """Makes an empty database; returns its url."""
        self.postgres.execute(f'create database "{name}"')
        return self.servers.postgres.url_of(name)

    def connect(self, name: str) -> psycopg.Connection:
        """A connection to look into one of the databases; autocommit."""
        return _connect(self.servers.postgres.url_of(name))

    def broker_url(self, *, database: int) -> str:
        return self.servers.redis.url_of(database)

    def next_broker_database(self) -> int:
        """A number of a database of Redis that nobody has yet."""
        return next(self._broker_databases)

    def facts(self) -> dict[str, Any]:
        """What it is measured on, and how safe that is by the server's own word."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        rows = (self.postgres.execute(f"show {name}").fetchone() for name in names)
        return {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0],
        } | {name: row[0] for name, row in zip(names, rows, strict=True) if row}


@contextmanager
def prepared() -> Iterator[Place]:
    """Everything started, until the end of the `with`; nothing is left behind."""
    with (
        throwaway.servers(durable=True) as servers,
        Receiver() as receiver,
        _connect(servers.postgres.url) as postgres,
        rabbitmq.virtual_host(f"billing-bench-{os.getpid()}") as rabbit,
    ):
        yield Place(servers, receiver, postgres, servers.folder, rabbit)


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:"), autocommit=True)
