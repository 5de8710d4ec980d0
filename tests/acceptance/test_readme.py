"""The pages that are pasted into a shell beside a real `billing up`, as a stranger copies them."""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import environ_for
from tests.support.examples import Example, Told, examples, run
from tests.support.ports import free_port
from tests.support.programs import ROOT, Program, Programs

QUICK_START = examples((ROOT / "README.md").read_text(), "quick start")
# The first line of its first block, without which a shell has no `billing`.
PATH = Example("sh", QUICK_START[0].code.splitlines(keepends=True)[0], QUICK_START[0].place)
HOW_TO = ROOT / "docs" / "how-to"
# What one does in the same shell, with the path of the quick start.
SHELL = examples((HOW_TO / "charge-from-your-service.md").read_text(), "command line")
CELERY = examples((HOW_TO / "charge-from-your-service.md").read_text(), "celery")
CAPTURE = examples((HOW_TO / "charge-from-your-service.md").read_text(), "capture")
ASYNC = examples((HOW_TO / "charge-from-async-code.md").read_text(), "async")
IMPORT = examples((HOW_TO / "import-a-file.md").read_text(), "import")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
OVER_HTTP = re.compile(r"over HTTP.*?\n((?:\s*export .*\n)+)")
WORKER = re.compile(r"^worker +\| started \(pid (\d+)\)", re.MULTILINE)
OBJECT = re.compile(r"\b(?:ch|re)_[a-z2-7]{32}\b")
# What runs in the background of a page's shell ends with it, also where the page fails.
TIDY = """trap '[ -z "$(jobs -p)" ] || kill $(jobs -p)' EXIT\n"""


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
    running.wait_until("all ready")
    yield running
    assert running.stop() == 0


@pytest.fixture
def paste(here: Programs, up: Program, folder: Path) -> Callable[..., list[Told]]:
    """Pastes what `up` says to copy, then the blocks of a page; what each printed."""
    pasted = OVER_HTTP.search(up.output)
    assert pasted, up.output
    environ = {n: text for n, text in here.environ.items() if not n.startswith("BILLING_")}

    def paste(name: str, blocks: Sequence[Example], first: str = "") -> list[Told]:
        (folder / name).mkdir()
        return run(
            blocks,
            scratch=folder / name,
            folder=ROOT,
            environ=environ,
            first=TIDY + pasted[1] + first,
        )

    return paste


@pytest.mark.timeout(600)  # some thirty commands, each a Python of its own
def test_the_quick_start_does_what_it_says_and_the_same_when_it_is_pasted_again(
    paste: Callable[..., list[Told]],
) -> None:
    first = paste("first", QUICK_START)
    said = "".join(one.text for one in first)
    charges = [json.loads(one.text) for one in first if one.text.startswith("{")]
    assert charges
    assert {charge["state"] for charge in charges} == {"succeeded"}, said
    (sdk,) = (one.text for one in first if one.example.language == "python")
    assert sdk.split() == ["succeeded", "succeeded"]
    for shown in ("order-1001", charges[0]["charge_id"]):
        assert shown in said
    again = "".join(one.text for one in paste("again", QUICK_START))
    assert set(OBJECT.findall(said)) <= set(OBJECT.findall(again))
    # In one shell, since each starts with a command of its own: the pages of the command line, and
    # what became of the charges that Celery and the import asked for.
    asked = [_explain("order-1007-charge", producer="shop"), _explain("order-1011")]
    pages = [*SHELL, *CAPTURE, *IMPORT, *ASYNC, _by_celery(), *asked]
    *told, awaited, _, by_celery, imported = paste("shell", [PATH, *pages])
    assert [*OBJECT.sub("", awaited.text).split()][:2] == ["succeeded", "idempotency_key_reused"]
    assert "succeeded" in told[1].text
    assert "order-1007-charge" in by_celery.text
    assert "order-1011" in imported.text


def _by_celery() -> Example:
    """What the page does with Celery, with the URL that it says to ask for."""
    (shown,) = CELERY
    code = shown.code.replace('"redis://…"', "URL", 1)
    asks = (
        'import subprocess\nURL = subprocess.check_output(["billing", "url"], text=True).strip()\n'
    )
    return Example("python", asks + code, shown.place)


def _explain(name: str, producer: str = "default") -> Example:
    """What became of one request, for a test to look at."""
    code = f'billing explain "{name}" --producer {producer} --json\n'
    return Example("sh", code, "the test")


@pytest.mark.timeout(600)  # likewise, and a lease has to run out
def test_the_tutorial_does_what_it_says(paste: Callable[..., list[Told]], up: Program) -> None:
    worker = WORKER.findall(up.output)[-1]
    steps = examples(TUTORIAL.replace("9000", str(free_port())), "tutorial")
    told = [one.text for one in paste("tutorial", steps, f"WORKER_PID={worker}\n")]
    said = "".join(told)
    paid, reused = (json.loads(text) for text in told if text.startswith("{"))
    assert (paid["state"], paid["amount"]) == ("succeeded", 1999)
    assert reused["code"] == "idempotency_key_reused"
    for words in (
        "succeeded succeeded 500",
        "failed (insufficient_funds)",
        "exit code 1",
        "webhook: ping",
        "status_code  204",
        "webhook: charge.succeeded succeeded",
        "all promises are kept",
    ):
        assert words in said, words
    (story,) = (text for text in told if "look_up → succeeded" in text)
    assert "charge → lease_expired" in story
    assert story.count("moved from the customer") == 1
