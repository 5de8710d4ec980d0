"""The five minutes of README.md, as a stranger copies them, beside a real `billing up`."""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import environ_for
from tests.support.examples import Example, Told, examples, run
from tests.support.programs import ROOT, Program, Programs

PAGE = (ROOT / "README.md").read_text()
QUICK_START = examples(PAGE, "quick start")
# What one does in the same shell, with the path of the quick start.
COMMAND_LINE = examples(PAGE, "command line")
OVER_HTTP = re.compile(r"over HTTP.*?\n((?:\s*export .*\n)+)")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        yield Path(name)


@pytest.fixture
def here(folder: Path, start_programs: Callable[..., Programs]) -> Programs:
    """Programs that know no URL, only the folder."""
    return start_programs(environ_for("", "", folder))


@pytest.fixture
def up(here: Programs) -> Iterator[Program]:
    """`make up`, with servers of its own and every process of the Procfile."""
    running = here.launch("up", command=[sys.executable, "-m", "cli", "up"])
    running.wait_until("all ready", deadline_s=60.0)
    yield running
    assert running.stop() == 0


@pytest.mark.timeout(300)  # some thirty commands, each a Python of its own, on a busy machine
def test_the_quick_start_does_what_it_says_and_the_same_when_it_is_pasted_again(
    here: Programs, up: Program, folder: Path
) -> None:
    pasted = OVER_HTTP.search(up.output)
    assert pasted, up.output

    def paste(name: str, blocks: Sequence[Example] = QUICK_START) -> list[Told]:
        (folder / name).mkdir()
        environ = {n: text for n, text in here.environ.items() if not n.startswith("BILLING_")}
        return run(
            blocks,
            scratch=folder / name,
            folder=ROOT,
            environ=environ,
            first=pasted[1],
            deadline_s=180.0,
        )

    first = paste("first")
    said = "".join(one.text for one in first)
    charges = [json.loads(one.text) for one in first if one.text.startswith("{")]
    assert charges
    assert {charge["state"] for charge in charges} == {"succeeded"}, said
    programs = [one.text for one in first if one.example.language == "python"]
    assert {word for text in programs for word in text.split()} >= {"succeeded", "pending"}
    for shown in ("order-1001", charges[0]["charge_id"]):
        assert shown in said
    ids = re.compile(r"\b(?:ch|re)_[a-z2-7]{32}\b")
    assert set(ids.findall("".join(one.text for one in paste("again")))) == set(ids.findall(said))
    told = paste("commands", [QUICK_START[0], *COMMAND_LINE])  # the path comes first
    assert "97" in told[2].text, told[2].text  # three of a hundred were sold
