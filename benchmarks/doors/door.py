"""A door: one server process that takes charges over HTTP, with a database of its own."""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing

import psutil
from sqlalchemy import Engine, create_engine

from benchmarks.place import Place
from benchmarks.processes import Processes
from service.database import migrate

START_MAX_S = 30.0
QUIET_S = 0.3
POLL_S = 0.05


class Door(ABC):
    """Installed once, then started and stopped for every run."""

    name: str
    authorization = ""
    """What a caller shows; known once installed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.processes = Processes(self.name, place.folder)
        self.database_url = place.create_database(f"{self.name}_http")
        self.database = place.connect(f"{self.name}_http")
        self.port = free_port()

    def install(self) -> None:
        """Makes the tables: the same for all, with every index and check."""
        engine = create_engine(self.database_url)
        migrate.upgrade(engine)
        self.prepare(engine)
        engine.dispose()

    def prepare(self, engine: Engine) -> None:  # noqa: B027  # one of the two needs nothing
        """Writes what it needs beside the tables."""

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    @abstractmethod
    def environment(self) -> dict[str, str]: ...

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.processes.start({"web": self.command()}, self.environment())
        deadline_s = time.monotonic() + START_MAX_S
        while not listens(self.port):
            self.processes.check_alive()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{self.name} never listened\n{self.processes.log_tails()}")
            time.sleep(POLL_S)

    def wait_until_quiet(self) -> None:
        """What it does after it has answered, such as waking workers, belongs to its cost."""
        web = psutil.Process(self.processes.roots["web"])
        while True:
            before = web.cpu_times()
            time.sleep(QUIET_S)
            after = web.cpu_times()
            # Two ticks of the kernel's clock: what a server at rest takes for its own timers.
            if after.user + after.system - before.user - before.system <= 0.02:
                return

    def kept(self, keys: Sequence[str]) -> int:
        """How many charges with these idempotency keys are in its database."""
        row = self.database.execute(
            "select count(*) from charges where idempotency_key = any(%s)", [list(keys)]
        ).fetchone()
        assert row is not None
        return int(row[0])


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
