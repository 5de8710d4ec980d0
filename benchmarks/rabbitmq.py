"""A RabbitMQ that is there already, with a virtual host of its own for each run."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

HOST, PORT = "127.0.0.1", 5672


@dataclass(frozen=True)
class RabbitMQ:
    """Its URL, and the process whose CPU counts."""

    url: str
    pid: int


@contextmanager
def virtual_host(name: str) -> Iterator[RabbitMQ | None]:
    """None where no local RabbitMQ runs that we may make a virtual host on."""
    control = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")
    pid = _listener()
    if control is None or pid is None:
        yield None
        return
    command = [control, "--quiet"] if os.geteuid() == 0 else ["sudo", "-n", control, "--quiet"]
    made = subprocess.run([*command, "add_vhost", name], capture_output=True, check=False)
    if made.returncode:
        yield None
        return
    try:
        rights = [*command, "set_permissions", "-p", name, "guest", ".*", ".*", ".*"]
        subprocess.run(rights, capture_output=True, check=True)
        yield RabbitMQ(f"amqp://guest:guest@{HOST}:{PORT}/{name}", pid)
    finally:
        subprocess.run([*command, "delete_vhost", name], capture_output=True, check=False)


def _listener() -> int | None:
    try:
        socket.create_connection((HOST, PORT), 1).close()
    except OSError:
        return None
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "beam.smp":
            return process.pid
    return None
