"""How tests wait: for what, and never for how long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import waiting
from tests.support.waiting import IDLE_S, answer_of, patience_s, wait_for, wait_for_end


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "IDLE_S", 0.0)


@pytest.mark.parametrize(("load", "times"), [(0.0, 1), (3.9, 1), (4.0, 1), (20.0, 5)])
def test_patience_grows_with_how_many_want_each_core(
    load: float, times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    assert patience_s() == times * IDLE_S


def test_processes_that_share_a_run_count_before_their_load_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.3, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    assert patience_s() == 2 * IDLE_S


def test_what_is_read_is_returned_when_it_is_as_it_should_be() -> None:
    numbers = iter(range(10))
    assert wait_for(lambda: next(numbers), what="a three", until=lambda n: n == 3) == 3
    assert wait_for(lambda: next(numbers) > 5, what="more than five") is True


def test_an_assertion_that_fails_is_not_yet() -> None:
    numbers = iter(range(10))

    def read() -> int:
        number = next(numbers)
        assert number > 3
        return number

    assert wait_for(read, what="more than three") == 4


@pytest.mark.usefixtures("impatient")
def test_what_never_comes_is_told_with_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"for a sale; seen last: \[1, 2\]"):
        wait_for(lambda: [1, 2], until=lambda there: len(there) > 2, what="a sale")

    def read() -> bool:
        raise AssertionError("7 are open")

    with pytest.raises(AssertionError, match=r"for the end; seen last: AssertionError\('7 are"):
        wait_for(read, what="the end")


def test_whatever_ends_a_wait_says_what_was_seen_last() -> None:
    seen = iter([0])
    with pytest.raises(StopIteration) as ended:
        wait_for(lambda: next(seen), what="a sale")
    assert ended.value.__notes__ == ["while waiting for a sale; seen last: 0"]


def test_the_end_of_a_process_is_its_status() -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    assert wait_for_end(child) == 3


def test_a_call_that_must_end_answers_or_raises() -> None:
    assert answer_of(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        answer_of(lambda: 1 // 0)


HANGING = """
from tests.support.waiting import wait_for

def test_it():
    wait_for(lambda: "half", until=lambda all: all == "whole", what="the whole")
"""


def test_a_test_that_hangs_says_what_it_waited_for(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGING)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "timeout=1"),
            *("--rootdir", str(tmp_path), str(tmp_path)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert "while waiting for the whole; seen last: 'half'" in done.stdout
    assert "pytest-timeout" in done.stdout
