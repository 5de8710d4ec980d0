"""The warm process itself: a pytest session that forks mutants instead of running its tests.

Its loop, instead of running what was collected, waits for wishes: a mutant and the tests to hold it
against. Each is a fork: it becomes the mutant (`swap`), runs these tests by pytest's own protocol
until one fails, and ends. The session itself runs nothing, so it has no threads and no connections
that a fork would share. Linux only.
"""

import ctypes
import gc
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.fates import KILLED, SURVIVED, TIMEOUT
from tests.mutants.lending import lend
from tests.mutants.mutations import Mutant
from tests.mutants.swap import ImportCalls, NotSwappableError, Swap, Swapper
from tests.mutants.warm import CANNOT, Answer, Wish
from tests.support import children

# A test may take so many times what it took in the honest run, and this much more: on a busy
# machine no honest test does, and a mutant that makes a loop endless costs no more.
PATIENCE, START_S = 6.0, 12.0
TEARDOWN_S = 15.0
SUBREAPER = 36  # of prctl(2): orphans become ours


def be(root: Path, servers: Any, suites: Sequence[str], wishes: int, answers: int) -> int:
    """Be this process, until there are no more wishes; pytest's exit status."""
    calls = ImportCalls(root)
    calls.start()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-s"]
    # A failure is wanted, not read: no source is looked up for it. Temporary folders stand beside
    # the servers' and go with them.
    options += ["--no-header", "--no-summary", "--tb=native", "-o", "timeout=0"]
    options += ["--basetemp", str(servers.folder / "tests")]
    mother = _Mother(root, servers, calls, wishes, answers)
    return int(pytest.main([*options, *suites], plugins=[mother]))


@dataclass(eq=False)  # plugins are kept in sets
class _Mother:
    """The plugin: what becomes of the session, and in the forks what is said about the tests."""

    root: Path
    servers: Any
    calls: ImportCalls
    wishes: int
    answers: int
    failed: bool = False
    skipped: bool = False
    shared_s: float = 0.0  # what went into fixtures that several tests share
    items: dict[str, pytest.Item] = field(default_factory=dict)

    def pytest_sessionstart(self) -> None:
        """Before any test is imported: what Hypothesis finds wrong needs neither be kept for later
        nor made small."""
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.target)
        hypothesis.settings.register_profile(
            "mutants", hypothesis.settings.get_profile("patient"), database=None, phases=phases
        )
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.calls.stop()
        if session.testsfailed:
            raise session.Interrupted("not everything could be collected")
        if len(threading.enumerate()) > 1:
            raise RuntimeError(f"imports have started threads: {threading.enumerate()}")
        self.items = {item.nodeid: item for item in session.items}
        from tests.mutants import forked_nursery, tracing  # they import what is ours

        forked_nursery.prepare()
        tracing.prepare()
        self.bear, self.tracing = forked_nursery.bear, tracing.tracing
        gc.collect()
        swapper = Swapper(self.root, self.calls)
        gc.freeze()
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self._say({"tests": list(self.items)})
        with os.fdopen(self.wishes) as lines:
            for line in lines:
                told = json.loads(line)
                wish = Wish(**{**told, "mutant": told["mutant"] and Mutant(**told["mutant"])})
                self._say(asdict(self._answer(wish, swapper)))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed
        self.skipped = self.skipped or report.skipped

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        began = time.monotonic()
        try:
            return (yield)  # type: ignore[no-any-return]
        finally:
            if fixturedef.scope != "function":
                self.shared_s += time.monotonic() - began

    def _answer(self, wish: Wish, swapper: Swapper) -> Answer:
        try:
            swap = swapper.plan(wish.mutant) if wish.mutant else Swap()
        except NotSwappableError as why:
            return Answer(CANNOT, str(why))
        known = dict(zip(wish.tests, wish.seconds, strict=True))
        there = [self.items[test] for test in wish.tests if test in self.items]
        fresh = [item for item in there if item.nodeid.split("::")[0] not in swap.stale]
        seconds = {item.nodeid: known[item.nodeid] for item in _neighbours_together(fresh)}
        if wish.tests and not seconds:
            return Answer(CANNOT, "none of its tests can be run here")
        said, says = os.pipe()
        pid = children.fork()
        if pid == 0:
            os.close(said)
            self._be(wish, swap, [self.items[test] for test in seconds], says)
        os.close(says)
        try:
            fate, at = _listen(said, list(seconds.values()))
            _leave_nothing(pid, patience_s=0.0 if fate == TIMEOUT else TEARDOWN_S)
        finally:
            os.close(said)
        left = [test for test in wish.tests if test not in seconds]
        return Answer(fate, None if fate == SURVIVED or at < 0 else list(seconds)[at], left)

    def _be(self, wish: Wish, swap: Swap, items: Sequence[pytest.Item], says: int) -> None:
        """Run the tests in this fork; does not return."""
        try:
            os.setpgid(0, 0)
            os.close(self.answers)
            if not _applies(swap):
                _tell(says, CANNOT)
                return
            lend(self.servers, wish.number)
            if wish.trace is None:
                self._run(items, says)
            else:
                with self.tracing(self.root, Path(wish.trace)) as traced:
                    self._run(items, says)
                    traced.passed = not (self.failed or self.skipped)
                    traced.shared_s = self.shared_s
        except BaseException:  # noqa: BLE001  # whatever it was, honest code doesn't raise it
            sys.excepthook(*sys.exc_info())
            _tell(says, KILLED)
        finally:
            sys.stderr.flush()
            os._exit(0)

    def _run(self, items: Sequence[pytest.Item], says: int) -> None:
        if any("nursery" in item.fixturenames for item in items):  # type: ignore[attr-defined]
            self.bear(without=[says])
        for i, item in enumerate(items):
            _tell(says, str(i))
            following = items[i + 1] if i + 1 < len(items) else None
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        _tell(says, KILLED if self.failed else SURVIVED)
        if self.failed:
            # What tests of one session share is still there.
            items[0].session._setupstate.teardown_exact(None)

    def _say(self, what: Mapping[str, Any]) -> None:
        os.write(self.answers, json.dumps(what).encode() + b"\n")


def _neighbours_together(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Tests that share a fixture of their file next to each other, or it is made for each."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        shares = any(one[-1].scope in ("class", "module", "package") for one in fixtures)
        key = item.nodeid.split("::")[0] if shares else item.nodeid
        groups.setdefault(key, []).append(item)
    return [item for group in groups.values() for item in group]


def _applies(swap: Swap) -> bool:
    """Become the mutant; False when that raises, as a fresh import may or may not."""
    try:
        swap.apply()
    except Exception:  # noqa: BLE001  # what it is depends on the mutant
        return False
    return True


def _tell(says: int, word: str) -> None:
    os.write(says, word.encode() + b"\n")


def _listen(said: int, seconds: Sequence[float]) -> tuple[str, int]:
    """The fate, and the number of the last test that was begun."""
    at, patience_s = -1, START_S
    while select.select([said], [], [], patience_s)[0]:
        words = os.read(said, 1 << 16).decode().split()
        if not words:
            return KILLED, at  # it died without a word
        for word in words:
            if not word.isdigit():
                return word, at
            at = int(word)
            patience_s = START_S + PATIENCE * seconds[at]
    return TIMEOUT, at


def _leave_nothing(pid: int, *, patience_s: float) -> None:
    """Wait until a fork has cleared up, then end it and whatever else it left."""
    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], patience_s)
    finally:
        os.close(descriptor)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := children.read_text().split():
        for orphan in map(int, left):
            os.kill(orphan, signal.SIGKILL)
            os.waitpid(orphan, 0)
