"""A machine as the host sees it: it boots, loses its power, freezes, and one program of it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.cluster import network
from tests.support import children
from tests.support.programs import ROOT
from tests.support.waiting import wait_for

INIT = Path(__file__).with_name("init.py")


@dataclass(frozen=True)
class Program:
    """What a machine keeps running."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: str = str(ROOT)


class Machine:
    """One of three. Its processes are in namespaces of their own (network, PIDs, mounts, name), so
    what is killed or frozen here can only be what it has started."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.name = f"node{number}"
        self.address = network.address(number)
        self.folder = folder
        self.logs = folder / "logs"
        self._held = folder / "held"
        for path in (self.logs, self._held):
            path.mkdir(parents=True)
        self.programs: Sequence[Program] = ()
        self._boots = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        return self._process is not None

    def boot(self) -> None:
        """Its link is there, and its programs start."""
        self._boots += 1
        spec = self.folder / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "name": self.name,
                    "last_pid": 1000 * self._boots,
                    "logs": str(self.logs),
                    "held": str(self._held),
                    "programs": [asdict(program) for program in self.programs],
                }
            )
        )
        network.mend(self.number)
        apart = ["unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        command = ["ip", "netns", "exec", network.namespace(self.number), *apart]
        with (self.logs / "init.log").open("ab") as log:
            self._process = children.start(
                [*command, sys.executable, str(INIT), str(spec)], stdout=log, stderr=log
            )

    def lose_power(self) -> None:
        """SIGKILL for everything on it, and no word to anybody: its link goes first."""
        network.cut(self.number)
        self.end()

    def end(self) -> None:
        """As `lose_power`, without the network."""
        if self._process is not None:
            for init in psutil.Process(self._process.pid).children():
                init.kill()
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP for everything on it. Its kernel still takes connections and bytes."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def hold(self, names: Collection[str]) -> None:
        """These programs end by SIGKILL, and stay away."""
        for name in names:
            (self._held / name).touch()

    def let_go(self, names: Collection[str]) -> None:
        """These programs may run (again)."""
        for name in names:
            (self._held / name).unlink(missing_ok=True)

    def runs(self, name: str) -> bool:
        """Whether this program is wanted here."""
        return self.is_on and not (self._held / name).exists()

    def kill(self, program: str) -> None:
        """SIGKILL for the topmost process of that name; what keeps it running is left alone."""
        found = [one for one in self._processes() if one.name() == program]
        top = next(one for one in found if one.parent() not in found)
        top.kill()

    def _signal_all(self, number: signal.Signals) -> None:
        for _ in range(3):  # what was forked meanwhile is found in the next round
            for process in self._processes():
                if process.pid != self._init.pid:  # the first process can't be stopped anyway
                    with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                        process.send_signal(number)

    @property
    def _init(self) -> psutil.Process:
        assert self._process
        outer = psutil.Process(self._process.pid)
        return wait_for(outer.children, what=f"the first process of {self}")[0]

    def _processes(self) -> list[psutil.Process]:
        """All that live in its PID namespace."""
        inside = _pid_namespace(self._init.pid)
        found = []
        for process in self._init.children(recursive=True):
            try:
                if _pid_namespace(process.pid) == inside:
                    found.append(process)
            except FileNotFoundError:
                continue  # it has ended
        return found


def _pid_namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())
