"""Our processes: each started as the Procfile says, killed, stopped, and started again.

Whoever ends is started again after a moment, as a supervisor does, until the crew is dismissed.
"""

import shlex
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from local.supervisor import parse_procfile
from tests.support.nursery import Nursery
from tests.support.programs import READY, ROOT, Program
from tests.support.waiting import patience_s, wait_for

# Name, its line in the Procfile, what its host name is to be.
ROLES = {
    "worker-1": "worker",
    "worker-2": "worker",
    "webhooks": "webhooks",
    "web": "web",
    "beat": "beat",
}
AWAY_S = (0.05, 2.5)  # for so long a process that died is missing


class Crew:
    """The processes by name. Methods may be called from any thread."""

    def __init__(
        self, nursery: Nursery, environ: Mapping[str, str], logs: Path, seed: object
    ) -> None:
        self.nursery = nursery
        self.environ = dict(environ)
        self.roles = dict(ROLES)
        self._logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.counts: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()  # those that nobody sent
        self.running: dict[str, Program] = {}
        self._procfile = parse_procfile((ROOT / "Procfile").read_text())
        self._dice = Random(f"crew {seed}")
        self._lock = threading.RLock()
        self._starts: dict[str, Callable[[], Program]] = {}
        self._killed: set[int] = set()
        self._stopped: set[int] = set()
        self._due: dict[str, float] = {}
        self._dismissed = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="crew", daemon=True)

    def start(self) -> None:
        for name in self.roles:
            self.hire(name, lambda name=name: self.launch(name))  # type: ignore[misc]
        for name, role in self.roles.items():
            self.running[name].wait_until(READY[role])
        self._thread.start()

    def hire(self, name: str, start: Callable[[], Program]) -> None:
        """Start a program now, and whenever it has ended with something else than 0."""
        with self._lock:
            self._starts[name] = start
            self.running[name] = start()

    def launch(self, name: str) -> Program:
        """Start one process of the Procfile."""
        return self._run(name, self._procfile[self.roles[name]], self.nursery, self.environ)

    def _run(self, name: str, line: str, nursery: Nursery, environ: Mapping[str, str]) -> Program:
        command = shlex.split(line)
        if command[:2] == ["python", "-m"]:
            command = command[2:]
        module, *arguments = command
        arguments = [one.replace("payments@", f"{name}@") for one in arguments]
        return nursery.run(name, module, arguments, environ)

    def kill(self, name: str) -> bool:
        """kill -9; whether there was somebody to kill."""
        with self._lock:
            program = self.running[name]
            if not program.alive:
                return False
            self._killed.add(program.pid)
            program.signal(signal.SIGKILL)
            self.counts[f"kill -9 {name}"] += 1
            return True

    def stop(self, name: str) -> Program | None:
        """SIGSTOP; the program, to be given to `go_on`."""
        with self._lock:
            program = self.running[name]
            if not program.alive:
                return None
            self._stopped.add(program.pid)
            program.signal(signal.SIGSTOP)
            self.counts[f"SIGSTOP {name}"] += 1
            return program

    def go_on(self, program: Program) -> None:
        with self._lock:
            self._stopped.discard(program.pid)
            program.signal(signal.SIGCONT)

    def terminate(self, name: str) -> None:
        """SIGTERM: a warm shutdown, as in a deployment; it is started again."""
        with self._lock:
            program = self.running[name]
            if program.alive:
                self._killed.add(program.pid)
                program.signal(signal.SIGTERM)
                self.counts[f"SIGTERM {name}"] += 1

    def wait_until_all_work(self) -> None:
        """Until everybody of the Procfile is there, and ready."""

        def works(name: str) -> bool:
            program = self.running[name]  # another one, when it died and was started again
            said = program.output
            assert READY[self.roles[name]].search(said), said[-3000:]
            return program.alive

        for name in self.roles:
            wait_for(lambda name=name: works(name), what=f"{name} to come back", every_s=0.1)  # type: ignore[misc]

    def bury(self, name: str, program: Program) -> None:
        """Keep what it said; its process and children go."""
        with (self._logs / f"{name}.log").open("a") as log:
            log.write(f"----- pid {program.pid} -----\n{program.output}")
        program.end()

    def dismiss(self) -> None:
        """End everybody."""
        self._dismissed.set()
        if self._thread.is_alive():
            self._thread.join(patience_s())
        for name, program in self.running.items():
            program.signal(signal.SIGCONT)
            self.bury(name, program)

    def _supervise(self) -> None:
        while not self._dismissed.wait(0.05):
            with self._lock:
                for name, program in [*self.running.items()]:
                    self._look_after(name, program)

    def _look_after(self, name: str, program: Program) -> None:
        if program.alive:
            return
        status = program.child.returncode
        if name not in self._starts or (name not in self.roles and status == 0):
            return  # done with its work
        now = time.monotonic()
        if name not in self._due:
            self._due[name] = now + self._dice.uniform(*AWAY_S)
            if program.pid not in self._killed:
                self.endings[f"{name} exit {status}"] += 1
        elif now >= self._due[name]:
            del self._due[name]
            self.bury(name, program)
            self.running[name] = self._starts[name]()
