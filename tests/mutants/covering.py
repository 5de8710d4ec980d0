"""A pytest plugin that notes which test runs which line of `payments`: `-p tests.mutants.covering`.

Loaded before anything of ours is imported. Each process of the run writes a file of its own into
the folder `MUTANTS_COVERAGE`, and one with how long each test took and whether it passed.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

FOLDER = Path(os.environ["MUTANTS_COVERAGE"])
_coverage = coverage.Coverage(
    data_file=str(FOLDER / f"{os.getpid()}.coverage"), source=["payments"], config_file=False
)
_coverage.start()
_tests: dict[str, dict[str, object]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """All of a test, its fixtures too, counts as the test."""
    _coverage.switch_context(item.nodeid)
    began = time.monotonic()
    result = yield
    entry = _tests.setdefault(item.nodeid, {"passed": True})
    entry["seconds"] = round(time.monotonic() - began, 3)
    _coverage.switch_context("")
    return result  # type: ignore[no-any-return]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.passed:
        _tests.setdefault(report.nodeid, {})["passed"] = False


def pytest_sessionfinish() -> None:
    _coverage.stop()
    _coverage.save()
    (FOLDER / f"{os.getpid()}.tests.json").write_text(json.dumps(_tests))
