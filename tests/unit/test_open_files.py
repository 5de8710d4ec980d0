"""A process may have as many sockets open as its operator lets it."""

import resource
from collections.abc import Iterator

import pytest

from service.process import open_files

LIMIT = resource.RLIMIT_NOFILE


@pytest.fixture
def hard() -> Iterator[int]:
    """The most that is allowed, while less is in force."""
    soft, hard = resource.getrlimit(LIMIT)
    most = open_files.FILES_MAX if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(LIMIT, (most - 1, hard))
    yield hard
    resource.setrlimit(LIMIT, (soft, hard))


def test_it_is_raised_to_what_the_operator_allows(
    hard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "FILES_MAX", max(hard, open_files.FILES_MAX))
    assert open_files.raised() == resource.getrlimit(LIMIT)[0]
    assert resource.getrlimit(LIMIT) == (open_files.FILES_MAX if hard < 0 else hard, hard)


def test_what_is_higher_already_stays(hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "FILES_MAX", 100)
    was = resource.getrlimit(LIMIT)
    assert open_files.raised() == was[0]
    assert resource.getrlimit(LIMIT) == was
