"""The supervisor: what ends starts again, and in the end nothing is left."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local import supervisor as module
from local.supervisor import Supervisor, command_of, parse_procfile
from tests.support.living import pid_lives
from tests.support.waiting import Wait, slowness, wait_for

FOREVER = "import time, signal; print('here', flush=True); time.sleep(600)"
DEAF = (
    "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('here', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', "
    f"{DEAF!r}], start_new_session=%s); print('child', child.pid, flush=True); time.sleep(600)"
)


class Script:
    """A supervisor at work in this very thread, with a test that acts from its ticks.

    Nobody becomes healthy in it, however long a busy machine lets the test's steps take.
    """

    def __init__(self, folder: Path, stop_s: float, **programs: str) -> None:
        self.said: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.steps: list[Callable[[], bool]] = []
        self.wait = Wait()
        self.supervisor = Supervisor(
            {name: [sys.executable, "-c", code] for name, code in programs.items()},
            environ=os.environ,
            folder=folder,
            echo=lambda name, line: self.said.append((name, line)),
            report=lambda name, event: self.told.append((name, event)),
            stop_s=stop_s,
            tick=self._tick,
        )

    def run(self, *steps: Callable[[], bool]) -> None:
        """Run; go to the next step when one answers True; stop after the last."""
        self.steps = list(steps)
        self.supervisor.run()
        assert not self.steps, f"stopped waiting; said {self.said}, told {self.told}"

    def pid(self, name: str) -> int:
        (child,) = (child for child in self.supervisor.children if child.name == name)
        assert child.running is not None
        return child.running.pid

    def heard(self, name: str, line: str, times: int = 1) -> Callable[[], bool]:
        return lambda: self.said.count((name, line)) >= times

    def kill(self, name: str) -> Callable[[], bool]:
        def step() -> bool:
            os.kill(self.pid(name), signal.SIGKILL)
            return True

        return step

    def _tick(self) -> None:
        if self.wait.is_in_vain or not self.steps:
            self.supervisor.stop()
        elif self.steps[0]():
            self.steps.pop(0)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Script]:
    monkeypatch.setattr(module, "HEALTHY_S", float("inf"))

    def make(stop_s: float = 5.0, **programs: str) -> Script:
        return Script(tmp_path, stop_s, **programs)

    return make


def test_lines_of_all_processes_arrive_with_their_names(script: Callable[..., Script]) -> None:
    talk = "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.write('no end')"
    running = script(a=talk, b=FOREVER)
    running.run(running.heard("a", "no end"), running.heard("b", "here"))
    assert {("a", "out"), ("a", "err"), ("b", "here")} <= set(running.said)


def test_a_process_is_told_what_is_its_own(tmp_path: Path) -> None:
    say = [sys.executable, "-c", "import os; print('port', os.environ['OWN_PORT'], flush=True)"]
    said: list[tuple[str, str]] = []
    supervisor = Supervisor(
        {"a": say, "b": say},
        environ={**os.environ, "OWN_PORT": "1"},
        environ_of={"b": {"OWN_PORT": "2"}},
        folder=tmp_path,
        echo=lambda name, line: said.append((name, line)),
        report=lambda name, event: None,
        stop_s=5.0,
        tick=lambda: supervisor.stop() if {name for name, _ in said} == {"a", "b"} else None,
    )
    supervisor.run()
    assert {("a", "port 1"), ("b", "port 2")} <= set(said)


def test_a_killed_process_starts_again(script: Callable[..., Script]) -> None:
    running = script(a=FOREVER)
    pids: list[int] = []

    def note() -> bool:
        pids.append(running.pid("a"))
        return True

    running.run(
        running.heard("a", "here"), note, running.kill("a"), running.heard("a", "here", 2), note
    )
    assert pids[0] != pids[1]
    assert ("a", "ended (SIGKILL), starting again in 0.5 s") in running.told


def test_one_that_was_healthy_starts_again_at_once(
    script: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEALTHY_S", 0.0)
    running = script(a=FOREVER)
    running.run(running.heard("a", "here"), running.kill("a"), running.heard("a", "here", 2))
    assert ("a", "ended (SIGKILL), starting again") in running.told


def test_one_that_fails_at_once_is_started_less_and_less_often(
    script: Callable[..., Script],
) -> None:
    running = script(a="import sys; sys.exit(3)")
    running.run(lambda: len(running.told) >= 6)
    ends = [event for _, event in running.told if event.startswith("ended")][:3]
    assert ends == [
        f"ended (exit status 3), starting again in {pause} s" for pause in ("0.5", "1", "2")
    ]


def test_one_that_ignores_term_is_killed_in_time(script: Callable[..., Script]) -> None:
    running = script(stop_s=slowness(), deaf=DEAF, good=FOREVER)
    pids: list[int] = []

    def note() -> bool:
        pids.extend([running.pid("deaf"), running.pid("good")])
        return True

    running.run(running.heard("deaf", "here"), running.heard("good", "here"), note)
    assert ("deaf", "does not end by itself, killing it") in running.told
    assert ("good", "ended (SIGTERM)") in running.told
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("own_session", [False, True])
def test_grandchildren_do_not_stay_behind(script: Callable[..., Script], own_session: bool) -> None:
    running = script(stop_s=1.0, parent=PARENT % own_session)

    def child() -> int:
        said = [line for _, line in running.said if line.startswith("child ")]
        return int(said[0].split()[1]) if said else 0

    running.run(lambda: child() > 0)
    wait_for(lambda: not pid_lives(child()), what="the grandchild to be gone")


def test_a_second_wish_to_stop_does_not_wait(script: Callable[..., Script]) -> None:
    running = script(stop_s=86_400.0, deaf=DEAF)  # what the first wish alone would wait

    def twice() -> bool:
        threading.Timer(0.3, running.supervisor.stop).start()
        return True

    running.run(running.heard("deaf", "here"), twice)
    assert ("deaf", "does not end by itself, killing it") in running.told


def test_a_program_of_our_environment_is_started_without_a_shell() -> None:
    commands = parse_procfile("worker: celery -A worker worker\n# note\nbeat: celery beat\n")
    assert list(commands) == ["worker", "beat"]
    program, *arguments = command_of(commands["worker"])
    assert Path(program).is_absolute()
    assert arguments == ["-A", "worker", "worker"]


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        command_of("no-such-program --now")
