"""The demo as a stranger runs it: it adds up, and it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli import output
from cli.operating.demo import demo
from tests.support import children
from tests.support.living import none_lives
from tests.support.programs import ROOT
from tests.support.waiting import patience_s, wait_for


class Demo:
    """`billing demo` as a process, with a folder of its own for temporary files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.screen = folder / "screen"
        # A demo must never reach anybody's real database, whatever is set around it.
        environ = os.environ | {
            "TMPDIR": str(self.temporary),
            "BILLING_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "BILLING_SLOTS": "none",
        }
        with self.screen.open("w") as screen:
            self.process = children.start(
                [sys.executable, "-m", "cli", "demo", *arguments],
                cwd=ROOT,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=screen,
                text=True,
            )

    def wait_until_it_says(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.screen.read_text()
            return text in self.screen.read_text()

        wait_for(said, what=f"the demo to say {text!r}")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    """Those that a test has started; ended after it."""
    started: list[Demo] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(patience_s())


def test_one_shop_and_a_killed_worker_add_up(tmp_path: Path, demos: list[Demo]) -> None:
    run = Demo(tmp_path, "--shop", "arena", "--json")
    demos.append(run)

    answer, _ = run.process.communicate()

    assert run.process.returncode == 0, run.screen.read_text() + answer
    figures = json.loads(answer)
    assert figures["adds_up"]
    assert all(check["passed"] for check in figures["checks"])
    assert figures["kill"]["taken_over"] > 0
    assert [one["currency"] for one in figures["money"]] == ["CHF"]
    assert figures["money"][0]["charged"]["tables"] > 0
    assert [(one["sold"], one["back"], one["left"]) for one in figures["stock"]] == [
        (10, 0, 2), (4, 1, 0),
    ]  # fmt: skip
    assert figures["webhooks"]["forged"] == 0
    assert "killed the worker" in run.screen.read_text()
    assert list(run.temporary.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_half_way_finds_nothing_left_behind(
    tmp_path: Path, demos: list[Demo], ending: signal.Signals
) -> None:
    run = Demo(tmp_path, "--shop", "arena")
    demos.append(run)
    run.wait_until_it_says("starting worker")
    family = run.children()
    assert family

    run.process.send_signal(ending)

    assert run.process.wait(patience_s()) == 128 + ending
    wait_for(lambda: none_lives(family), what="all that it started to be gone")
    assert list(run.temporary.iterdir()) == []
    assert "Traceback" not in run.screen.read_text()


def test_a_shop_that_is_not_there_is_named() -> None:
    with pytest.raises(output.Failed, match="no shop is called harrods; there are lumen, nishi"):
        demo(shop=["harrods"], log=None, as_json=False)
