"""The servers that the storm breaks: a PostgreSQL of its own, and one broker of the two."""

import contextlib
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import redis

from local.embedded.redis import program as redis_program
from tests.support import children, rabbitmq
from tests.support.ports import free_port
from tests.support.waiting import patience_s, wait_for

PASSWORD = "storm"


class Broker(ABC):
    """A broker at `url`. What befalls it is a method; `troubles` names those that this one has."""

    url: str
    troubles: tuple[str, ...]

    @abstractmethod
    def empty(self) -> None:
        """Everything in it is gone."""

    @abstractmethod
    def crash(self) -> None:
        """It dies, or looks so to everybody, and is back when this returns."""

    def fill(self) -> None:
        """Its memory is full: it refuses what is written."""
        raise NotImplementedError

    def drain(self) -> None:
        """There is room again."""
        return


class RedisServer(Broker):
    """A Redis with the append-only file on, as we advise."""

    troubles = ("empty", "crash", "fill")

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self._client = redis.Redis.from_url(self.url, socket_timeout=5)
        self.start()

    def start(self) -> None:
        command = [redis_program(), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--requirepass", PASSWORD, "--appendonly", "yes"]
        command += ["--maxmemory-policy", "noeviction", "--dir", str(self._folder)]
        self._process = children.start(command, stdout=subprocess.DEVNULL)
        wait_for(self._answers, what="Redis to start")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self._client.ping())
        return False

    def empty(self) -> None:
        self._client.flushall()

    def crash(self) -> None:
        self.end()
        self.start()

    def fill(self) -> None:
        self._client.config_set("maxmemory", "1kb")

    def drain(self) -> None:
        self._client.config_set("maxmemory", "0")

    def end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(patience_s())
            self._process = None


class RabbitHost(Broker):
    """A virtual host on the machine's RabbitMQ, which others use too: so it is never killed, and
    its memory never filled. What its crash looks like, the end of all connections, it has."""

    troubles = ("empty", "crash")

    def __init__(self, url: str) -> None:
        self.url = url

    def empty(self) -> None:
        with kombu.Connection(self.url) as connection:
            for queue in rabbitmq.QUEUES:
                connection.default_channel.queue_purge(queue)

    def crash(self) -> None:
        program = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program
        vhost = urlsplit(self.url).path[1:]
        command = [program, "--quiet", "close_all_connections", "--vhost", vhost, "a storm"]
        subprocess.run(command, check=False, capture_output=True, timeout=patience_s())


@contextmanager
def broker_of(kind: str, folder: Path, name: str) -> Iterator[Broker]:
    """A broker of this kind, `redis` or `rabbitmq`, until the end of the `with`."""
    if kind == "redis":
        server = RedisServer(folder / "redis")
        try:
            yield server
        finally:
            server.end()
    else:
        with rabbitmq.virtual_host(name) as url:
            yield RabbitHost(url)
