"""Tests that ask again while somebody is busy lose nothing of what they prove."""

from collections.abc import Callable, Iterator

import httpx

from tests.support.every import every
from tests.support.web import insist, made_once


def says(*statuses: int) -> Callable[[], httpx.Response]:
    """A call that is answered so, one after another."""
    left: Iterator[int] = iter(statuses)
    return lambda: httpx.Response(next(left))


def test_503_is_asked_again_and_kept() -> None:
    answer = insist(says(503, 503, 202, 200))
    assert answer.status_code == 202
    assert [one.status_code for one in answer.history] == [503, 503]


@every("status", [200, 202, 400, 404, 409, 500, 502])
def test_no_other_answer_is_asked_again(status: int) -> None:
    answer = insist(says(status))
    assert (answer.status_code, answer.history) == (status, [])


@every(
    "answers, is_once",
    [
        ([[202], [200], [200]], True),
        ([[200], [503, 202], [200]], True),
        ([[200], [503, 200], [200]], True),  # made by the one that heard 503
        ([[200], [200], [200]], False),  # and who made it?
        ([[202], [202], [200]], False),
        ([[503, 202], [202], [200]], False),
        ([[202], [200], [409]], False),
        ([[202]], True),
        ([[503, 200]], True),
        ([[200]], False),
        ([[409]], False),
        ([[503, 409]], False),
    ],
)
def test_what_was_made_once_is_told_once(answers: list[list[int]], is_once: bool) -> None:
    assert made_once([insist(says(*statuses)) for statuses in answers]) is is_once
