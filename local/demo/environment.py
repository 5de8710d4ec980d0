"""The environment of the demo: throwaway servers and the real processes of the Procfile."""

import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from local import supervisor
from local.embedded import throwaway
from local.embedded.throwaway import Servers
from payments.access.encryption_keys import new_key
from service import log
from service.database import migrate
from service.database.database_limits import MIGRATION
from service.database.engine import open_engine
from service.settings import PREFIX, outside_environ

ROOT = Path(__file__).parents[2]
# What charges and webhooks need; `flower` and `web` only look on.
ROLES = ("worker", "webhooks", "beat")
# These say when they are ready; beat begins by itself.
TELLING = ("worker", "webhooks")
READY = re.compile(r"\bready\b")
READY_S = 60.0  # a small machine that is busy; usually 5 s
STOP_S = 4.0  # a call's deadline, and its settling
KEPT_LINES = 400

# Times in which a person can watch what otherwise takes a day. What counts is their order.
SETTINGS = {
    # A processor next door. Long enough for requests to be under way when the worker is killed.
    "SANDBOX_LATENCY_MS": "60",
    # How long a worker waits for an answer that got lost.
    "SANDBOX_TIMEOUT_MS": "300",
    # Above the two seconds of the slow ones; the lease holds two calls.
    "CALL_DEADLINE_S": "2.5",
    # So long the charges of the killed worker wait until another takes them over.
    "LEASE_S": "6",
    # The processor's memory of keys. Resending is safe for half of it: long enough for the first
    # look-up after a timeout (5 s), even if no worker is there to make it for a while, and short
    # enough for the second (36 s) to give up, so that one can see what needs a person.
    "SANDBOX_KEY_WINDOW_S": "68",
    "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
    "SHUTDOWN_S": "3",
    "LOG_FORMAT": "console",
}


class StageError(Exception):
    """A process did not come up, or did not come back; the text holds its last words."""


@dataclass
class Stage:
    """The running processes, and their output."""

    servers: Servers
    # Where to write the output of processes; None = nowhere, the last lines are kept anyway.
    log_file: TextIO | None = None
    encryption_key: str = field(default_factory=new_key, repr=False)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    # When each said that it is ready, every time that it was started; monotonic seconds.
    readies: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._supervisor = supervisor.Supervisor(
            _commands(),
            environ=_environ(self.servers, self.encryption_key),
            folder=ROOT,
            echo=self._hear,
            report=self._note,
            stop_s=STOP_S,
        )
        # The kernel ends the processes with the thread that started them, however it ends.
        self._thread = threading.Thread(target=self._supervisor.run, name="supervisor")

    @property
    def database_url(self) -> str:
        return self.servers.postgres.url

    @property
    def broker_url(self) -> str:
        return self.servers.redis.url

    def start(self) -> None:
        """Start the processes and wait until they work. Raises StageError."""
        self._thread.start()
        deadline = time.monotonic() + READY_S
        while not all(self.readies.get(name) for name in TELLING):
            self.check(f"not ready after {READY_S:g} s", deadline)
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """kill -9. The supervisor starts it again."""
        (child,) = (one for one in self._supervisor.children if one.name == name)
        if child.running is None:
            raise StageError(f"the {name} ended by itself:\n{self.last_words()}")
        os.kill(child.running.pid, signal.SIGKILL)

    def check(self, what: str, deadline: float) -> None:
        """Raise StageError if the deadline has passed, or the supervisor has ended."""
        if not self._thread.is_alive():
            raise StageError(f"the processes could not be started:\n{self.last_words()}")
        if time.monotonic() > deadline:
            raise StageError(f"{what}:\n{self.last_words()}")

    def last_words(self, lines: int = 20) -> str:
        """What the processes said last, for an error that a person reads."""
        return "\n".join([*self.said][-lines:]) or "(they said nothing)"

    def stop(self) -> None:
        """End the processes; those that don't end in time are killed."""
        self._supervisor.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _hear(self, name: str, line: str) -> None:
        self._note(name, line)
        if READY.search(line):
            self.readies.setdefault(name, []).append(time.monotonic())

    def _note(self, name: str, line: str) -> None:
        text = f"{name}: {log.scrub(line)}"
        self.said.append(text)
        if self.log_file is not None:
            self.log_file.write(f"{text}\n")


@contextmanager
def prepared(log_file: TextIO | None = None) -> Iterator[Stage]:
    """Servers that run, with our tables; the processes don't run yet. Nothing is left behind.

    Raises local.embedded.embedded_server.EmbeddedError.
    """
    with ExitStack() as stack:
        interrupt = signal.getsignal(signal.SIGINT)
        stack.callback(signal.signal, signal.SIGINT, interrupt)
        servers = stack.enter_context(throwaway.servers())
        engine = open_engine(servers.postgres.url, MIGRATION)
        stack.callback(engine.dispose)
        migrate.upgrade(engine, runs_as=servers.postgres.service_url)
        stage = Stage(servers, log_file)
        stack.callback(stage.stop)
        # A second Ctrl-C would otherwise leave half of it behind.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        yield stage


def _commands() -> dict[str, list[str]]:
    procfile = supervisor.parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8"))
    return {name: supervisor.command_of(procfile[name]) for name in ROLES}


def _environ(servers: Servers, encryption_key: str) -> Mapping[str, str]:
    """Our environment, without the user's settings: the demo must never reach a real database."""
    ours = outside_environ()
    settings = SETTINGS | {
        "DATABASE_URL": servers.postgres.service_url,
        "BROKER_URL": servers.redis.url,
        "DATA_DIR": str(servers.folder / "data"),
        "ENCRYPTION_KEYS": encryption_key,
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', os.defpath)}"
    return ours | {PREFIX + name: value for name, value in settings.items()} | {"PATH": path}
