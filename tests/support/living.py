"""Processes that may end while one looks at them."""

import contextlib
from collections.abc import Iterable

import psutil


def lives(one: psutil.Process) -> bool:
    """Whether it does anything; one that nobody has buried yet does nothing."""
    try:
        return one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_lives(pid: int) -> bool:
    try:
        return lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def none_lives(family: Iterable[psutil.Process]) -> bool:
    return not any(map(lives, family))


def named(family: Iterable[psutil.Process]) -> dict[psutil.Process, str]:
    """What each of them runs; without those that have ended meanwhile."""
    found = {}
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            found[one] = " ".join(one.cmdline())
    return found
