"""Real workers of tests.support.workerapp, and the brokers they read, for tests."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amqp
import redis

from tests.support import children
from tests.support.ports import free_port
from tests.support.waiting import patience_s, wait_for, wait_for_end

ROOT = Path(__file__).resolve().parents[2]
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"


class RedisBroker:
    """A Redis of our own that can be stopped, frozen, emptied and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://:hunter2@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *options: str) -> None:
        server = shutil.which("redis-server")
        assert server, "redis-server is not on PATH"
        command = [server, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--requirepass", "hunter2", "--appendonly", "yes", "--dir", str(self._folder)]
        self._process = children.start([*command, *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis.from_url(self.url)

        def answers() -> bool:
            with contextlib.suppress(redis.exceptions.ConnectionError):
                return bool(self.client.ping())
            return False

        wait_for(answers, what="Redis to answer")

    def send_signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            wait_for_end(self._process, what="Redis to end")
            self._process = None

    close = stop

    def send_raw(self, item: bytes, queue: str = "payments") -> None:
        self.client.lpush(queue, item)

    def send(self, body: bytes, headers: dict, *, queue: str = "payments", **changes: Any) -> None:
        """A protocol 2 message as a foreign producer writes it."""
        letter = {
            "body": base64.b64encode(body).decode(),
            "content-encoding": changes.pop("content_encoding", "utf-8"),
            "content-type": changes.pop("content_type", "application/json"),
            "headers": headers,
            "properties": {
                "correlation_id": "x",
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
        self.send_raw(json.dumps({**letter, **changes}).encode(), queue)

    def unsettled(self) -> int:
        """Messages that are queued, or fetched and not acknowledged."""
        return sum(
            (
                self.client.llen("payments"),
                self.client.llen("webhooks"),
                self.client.hlen("unacked"),
            )
        )


class RabbitBroker:
    """A virtual host of our own on the machine's RabbitMQ."""

    def __init__(self) -> None:
        self._vhost = f"test-{uuid.uuid4().hex[:12]}"
        self._ctl("add_vhost", self._vhost)
        self._ctl("set_permissions", "-p", self._vhost, "guest", ".*", ".*", ".*")
        self.url = f"{RABBITMQ}/{self._vhost}"
        self.declare()

    @staticmethod
    def why_not() -> str | None:
        """Why it can't be used here; None if it can."""
        if not shutil.which("rabbitmqctl"):
            return "no rabbitmqctl"
        try:
            socket.create_connection(("127.0.0.1", 5672), 1).close()
        except OSError:
            return "no RabbitMQ on 127.0.0.1:5672"
        return None

    def _ctl(self, *command: str) -> None:
        subprocess.run(
            ["rabbitmqctl", "-q", *command], check=True, capture_output=True, timeout=patience_s()
        )

    def declare(self) -> None:
        """The queues, as a worker declares them: a foreign producer must not."""
        from kombu import Connection

        from service.broker.celery_config import dead_letters, queues

        with Connection(self.url) as connection:
            for queue in (*queues(rabbitmq=True), dead_letters()):
                queue(connection.default_channel).declare()

    @contextlib.contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = amqp.Connection(
            "127.0.0.1:5672", userid="guest", password="guest", virtual_host=self._vhost
        )
        connection.connect()
        with connection:
            yield connection.channel()

    def send(self, body: bytes, headers: dict, *, queue: str = "payments", **changes: Any) -> None:
        message = amqp.Message(
            body,
            application_headers=headers,
            delivery_mode=2,
            **{"content_type": "application/json", "content_encoding": "utf-8", **changes},
        )
        with self._channel() as channel:
            channel.basic_publish(message, exchange="", routing_key=queue)

    def send_properties(self, raw: bytes, body: bytes) -> None:
        """A message whose properties are these bytes, as no honest client would write them."""

        class Message(amqp.Message):
            def _serialize_properties(self) -> bytes:
                return raw

        with self._channel() as channel:
            channel.basic_publish(Message(body), exchange="", routing_key="payments")

    def unsettled(self) -> int:
        with self._channel() as channel:
            ready = sum(
                channel.queue_declare(queue, passive=True).message_count
                for queue in ("payments", "webhooks", "billing.dead")
            )
            return int(ready)

    def close(self) -> None:
        self._ctl("delete_vhost", self._vhost)


class Worker:
    """A `celery worker` process, its log, and what its task and sink wrote."""

    def __init__(self, broker_url: str, out: Path, *arguments: str, **environment: str) -> None:
        self.out = out
        self._log = out / f"log-{uuid.uuid4().hex[:6]}"
        self.process = children.start(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.support.workerapp", "worker"),
                *("--loglevel", "INFO", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "BROKER": broker_url, "OUT": str(out), **environment},
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> "Worker":
        wait_for(
            lambda: " ready." in self.log or self.process.poll() is not None,
            what="the worker to start",
        )
        assert self.process.poll() is None, self.log
        return self

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What was written to the file `name`: calls, quarantine, …"""
        path = self.out / name
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def called(self, task_id: str) -> bool:
        return any(call["id"] == task_id for call in self.lines("calls"))

    def end_of_itself(self) -> int:
        """Wait until it ends; its exit status."""
        return wait_for_end(self.process, what="the worker to end")

    def stop(self) -> int:
        """SIGTERM, or a kill where that is of no use; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                return self.end_of_itself()
            self.process.kill()
        return self.end_of_itself()
