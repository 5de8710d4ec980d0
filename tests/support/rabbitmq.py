"""A RabbitMQ that is already there, with a virtual host of its own for these tests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import kombu

from tests.support.promised import skip_or_fail
from tests.support.waiting import patience_s

HOST, PORT = "127.0.0.1", 5672
QUEUES = ("payments", "webhooks")


@contextmanager
def virtual_host(name: str) -> Iterator[str]:
    """The URL of a fresh virtual host, which vanishes with its queues at the end."""
    try:
        socket.create_connection((HOST, PORT), patience_s()).close()
    except OSError:
        skip_or_fail("RABBITMQ", f"no RabbitMQ on {HOST}:{PORT}")
    if (control := shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        skip_or_fail("RABBITMQ", "no rabbitmqctl to make a virtual host with")
    made = _control(control, "add_vhost", name)
    if made.returncode:
        skip_or_fail("RABBITMQ", f"rabbitmqctl can't make a virtual host: {made.stderr.strip()}")
    try:
        _control(control, "set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        yield f"amqp://guest:guest@{HOST}:{PORT}/{name}"
    finally:
        _control(control, "delete_vhost", name)


def remove_queues(url: str) -> None:
    """Make the virtual host as good as new for the next test."""
    with kombu.Connection(url) as connection:
        for queue in (*QUEUES, "billing.dead", *(f"{name}.moving" for name in QUEUES)):
            connection.default_channel.queue_delete(queue)


def _control(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [program, "--quiet", *arguments]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=patience_s(), check=False
    )
