"""The threads of a process take short turns."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.process import garbage, threads


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_turns_are_shorter_than_pythons_own() -> None:
    sys.setswitchinterval(0.005)
    threads.take_short_turns()
    assert sys.getswitchinterval() == pytest.approx(threads.TURN_S)


def test_a_worker_that_is_ready_has_settled_down() -> None:
    """In a process of its own, as it changes the whole process."""
    said = "import gc, sys; print(sys.getswitchinterval(), gc.get_threshold()[0])"
    ready = "from celery import signals; import worker.app; signals.worker_ready.send(sender=None)"
    environment = os.environ | {
        "BILLING_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
        "BILLING_BROKER_URL": "redis://127.0.0.1:9/0",
    }
    run = subprocess.run(
        [sys.executable, "-c", f"{ready}; {said}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    turn_s, new_max = run.stdout.split()
    assert float(turn_s) == pytest.approx(threads.TURN_S)
    assert int(new_max) == garbage.NEW_MAX
