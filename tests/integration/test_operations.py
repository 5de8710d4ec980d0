"""The questions of `docs/operations.md`: each command and each page gives its answer.

All are asked of one bad morning (`tests.support.incident`). A question that the page gets is tried
with no more done here.
"""

import html
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from tests.support.command import Billing
from tests.support.console import Visitor, visitor
from tests.support.counter import counter
from tests.support.every import every
from tests.support.incident import happens
from tests.support.nursery import Nursery
from tests.support.programs import ROOT
from tests.support.sink import Sink
from tests.support.waiting import wait_for
from tests.support.web import web

PAGE = (ROOT / "docs" / "operations.md").read_text()
_QUESTION = re.compile(r"^### (?P<question>.+?)\n(?P<rest>.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^```sh\nbilling (?P<command>.+?)\n```$", re.MULTILINE)
_CONSOLE = re.compile(r"^Console: `/console(?P<path>/\S*)`$", re.MULTILINE)
_ANSWER = re.compile(r"^Look for: `(?P<answer>.+?)`", re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Question:
    """What is asked, and where the answer is found."""

    text: str
    command: str
    path: str
    answer: str


def _questions() -> list[Question]:
    found = []
    for one in _QUESTION.finditer(PAGE):
        ways = [way.findall(one["rest"]) for way in (_COMMAND, _CONSOLE, _ANSWER)]
        assert [len(way) for way in ways] == [1, 1, 1], f"{one['question']}: {ways}"
        found.append(Question(one["question"], *(way[0] for way in ways)))
    return found


QUESTIONS = _questions()


@dataclass
class Morning:
    """Somebody at the command line, and an operator at the console."""

    billing: Billing
    console: Visitor
    names: Mapping[str, str]

    def named(self, text: str) -> str:
        """The text with what the reader would write for `$CHARGE` and the like."""
        return re.sub(r"\$([A-Z]+)", lambda found: self.names[found[1]], text)


@pytest.fixture
def morning(
    engine: Engine,
    environ: dict[str, str],
    nursery: Nursery,
    sink: Sink,
    billing: Billing,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Morning]:
    monkeypatch.setenv("COLUMNS", "300")  # nothing is cut off
    with ExitStack() as stack:
        names = happens(stack.enter_context(counter(engine)), sink.url)
        door = stack.enter_context(web(nursery, environ, engine))
        ann = stack.enter_context(visitor(door))
        ann.follow_redirects = True
        yield Morning(billing, ann, names)


def test_there_are_twenty_questions_at_least() -> None:
    assert len({one.text for one in QUESTIONS}) == len(QUESTIONS) >= 20


@every("question", QUESTIONS, ids=lambda one: one.text)
def test_every_question_has_its_answer(morning: Morning, question: Question) -> None:
    answer = morning.named(question.answer)
    told = morning.billing(*shlex.split(morning.named(question.command)))
    assert told.code == 0, told.err
    assert answer in " ".join(told.out.split())
    assert answer in _shown(morning, morning.named(question.path))


def _shown(morning: Morning, path: str) -> str:
    """What somebody reads on the page: its text, without what a browser does with it. A database
    that was too busy to answer in time is asked again, as they would."""
    page = wait_for(
        lambda: morning.console.get(path),
        until=lambda answer: answer.status_code != 503,
        what=f"the page {path}",
    )
    assert page.status_code == 200
    return " ".join(html.unescape(_TAG.sub(" ", page.text.partition("<main")[2])).split())
