"""What may befall a broker, for each of the two that we run on."""

import os
import shutil
import subprocess
import uuid
from abc import ABC, abstractmethod
from urllib.parse import urlsplit

import amqp
import kombu
import redis as redis_client

from local.embedded.redis import Redis
from tests.support.rabbitmq import QUEUES
from tests.support.waiting import patience_s


class Broker(ABC):
    """A broker at `url` that a test may empty and bring down."""

    url: str

    @abstractmethod
    def empty(self) -> None:
        """Everything in it is gone."""

    @abstractmethod
    def crash(self) -> None:
        """Every connection breaks; when this returns, it can be reached again."""

    @abstractmethod
    def waiting(self) -> int:
        """How many messages wait in the queues or are held by workers."""


class RedisBroker(Broker):
    """A Redis that is this suite's alone."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self.url = server.url

    def empty(self) -> None:
        with redis_client.Redis.from_url(self._server.admin_url) as client:
            client.flushall()

    def push(self, item: bytes) -> None:
        """Put anything into the queue of payments."""
        with redis_client.Redis.from_url(self.url) as client:
            client.lpush("payments", item)

    def abandon(self, item: bytes) -> None:
        """Leave anything behind as a worker does that took it and died, long ago."""
        with redis_client.Redis.from_url(self.url) as client:
            tag = uuid.uuid4().hex
            client.hset("unacked", tag, b"[" + item + b',"","payments"]')
            client.zadd("unacked_index", {tag: 1})

    def crash(self) -> None:
        self._server.crash()
        self._server.start()

    def waiting(self) -> int:
        with redis_client.Redis.from_url(self.url) as client:
            lengths = [client.llen(queue) for queue in QUEUES]
            return sum(int(n) for n in [*lengths, client.hlen("unacked")])  # type: ignore[arg-type]


class RabbitBroker(Broker):
    """A virtual host on the machine's RabbitMQ. Others use it too, so it is never killed: what its
    crash looks like to a worker, the end of all connections, is made with rabbitmqctl."""

    def __init__(self, url: str) -> None:
        self.url = url

    def empty(self) -> None:
        parts = urlsplit(self.url)
        address = f"{parts.hostname}:{parts.port}"
        # Past kombu: with our transport it would be refused.
        with amqp.Connection(
            address, userid=parts.username, password=parts.password, virtual_host=parts.path[1:]
        ) as connection:
            for queue in QUEUES:
                connection.channel().queue_purge(queue)

    def crash(self) -> None:
        program = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program
        vhost = urlsplit(self.url).path[1:]
        command = [program, "--quiet", "close_all_connections", "--vhost", vhost, "a test"]
        subprocess.run(command, check=True, capture_output=True, timeout=patience_s())

    def waiting(self) -> int:
        with kombu.Connection(self.url) as connection:
            channel = connection.default_channel
            return sum(channel.queue_declare(queue, passive=True).message_count for queue in QUEUES)
