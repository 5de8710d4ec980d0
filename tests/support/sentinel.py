"""A Redis primary with a replica and three Sentinels, whose primary may be killed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from local.embedded.redis import program
from tests.support import children
from tests.support.ports import free_port
from tests.support.waiting import slowness, wait_for

NAME = "till"
PASSWORD, SENTINELS_PASSWORD = "hunter2", "hunter3"
HOST = "127.0.0.1"


class Sentinels:
    """`url` is what BILLING_BROKER_URL is set to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.servers = [free_port(), free_port()]
        self.ports = [free_port() for _ in range(3)]
        for number, port in enumerate(self.servers):
            self.start_server(port, replica_of=self.servers[0] if number else None)
        wait_for(self._replica_follows, what="the replica to follow")
        for port in self.ports:
            self._start_sentinel(port)
        wait_for(self._sentinels_agree, what="the Sentinels to know each other")

    @property
    def url(self) -> str:
        hosts = ";".join(f"{HOST}:{port}" for port in self.ports)
        options = f"master_name={NAME}&sentinel_password={SENTINELS_PASSWORD}"
        return f"sentinel://:{PASSWORD}@{hosts}/0?{options}"

    def primary(self) -> int:
        """The port of the server that the Sentinels name."""
        answer = self._ask(self.ports[0]).sentinel_get_master_addr_by_name(NAME)
        assert answer
        return int(answer[1])

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.primary(), password=PASSWORD)

    def kill_primary(self) -> None:
        """Kill it, and wait until another is named."""
        port = self.primary()
        index = self.servers.index(port)
        self._processes[index].kill()
        self._processes[index].wait()
        wait_for(lambda: self.primary() != port, what="another primary")
        wait_for(lambda: self.client().role()[0] == b"master", what="it to be one")

    def start_server(self, port: int, *, replica_of: int | None) -> None:
        options = {
            "port": str(port),
            "bind": HOST,
            "requirepass": PASSWORD,
            "masterauth": PASSWORD,
            "save": '""',
            "appendonly": "yes",
            "repl-diskless-sync-delay": "0",
            "dir": str(self._own_folder(port)),
        }
        lines = [f"{name} {value}" for name, value in options.items()]
        if replica_of:
            lines.append(f"replicaof {HOST} {replica_of}")
        self._start(port, lines)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _start_sentinel(self, port: int) -> None:
        down_after_ms = round(1000 * slowness())  # one that is only slow is not down
        lines = [
            f"port {port}",
            f"bind {HOST}",
            f"dir {self._own_folder(port)}",
            f"requirepass {SENTINELS_PASSWORD}",
            f"sentinel sentinel-pass {SENTINELS_PASSWORD}",
            f"sentinel monitor {NAME} {HOST} {self.servers[0]} 2",
            f"sentinel auth-pass {NAME} {PASSWORD}",
            f"sentinel down-after-milliseconds {NAME} {down_after_ms}",
            f"sentinel failover-timeout {NAME} 5000",
        ]
        self._start(port, lines, "--sentinel")

    def _start(self, port: int, lines: list[str], *arguments: str) -> None:
        file = self._own_folder(port) / "server.conf"
        file.write_text("\n".join(lines) + "\n")
        command = [program(), str(file), *arguments]
        self._processes.append(children.start(command, stdout=subprocess.DEVNULL))

    def _own_folder(self, port: int) -> Path:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        return folder

    def _ask(self, port: int) -> redis.Redis:
        return redis.Redis(port=port, password=SENTINELS_PASSWORD, decode_responses=True)

    def _replica_follows(self) -> bool:
        with suppress(redis.RedisError):
            replica = redis.Redis(port=self.servers[1], password=PASSWORD)
            return replica.info("replication")["master_link_status"] == "up"
        return False

    def _sentinels_agree(self) -> bool:
        with suppress(redis.RedisError, KeyError):
            states = [self._ask(port).sentinel_master(NAME) for port in self.ports]
            return all(one["num-other-sentinels"] == 2 and one["num-slaves"] == 1 for one in states)
        return False


@contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """Five processes, until the end of the `with`."""
    running = Sentinels(folder)
    try:
        yield running
    finally:
        running.end()
