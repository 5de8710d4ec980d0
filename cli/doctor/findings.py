"""What a check found: how it stands, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what was looked at, `seen` what was there, `advice` what to do."""

    subject: str
    level: Level
    seen: str
    advice: str = ""

    def view(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "subject": self.subject,
            "level": self.level,
            "seen": self.seen,
            "advice": self.advice or None,
        }


def ok(subject: str, seen: str) -> Finding:
    return Finding(subject, "ok", seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    return Finding(subject, "warn", seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    return Finding(subject, "fail", seen, advice)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing fails; warnings are for people and don't count."""
    return all(one.level != "fail" for one in findings)


def ago(seconds: float) -> str:
    """A duration as people say it: `40 s`, `12 min`, `3 h`, `2 days`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def some(count: int, noun: str) -> str:
    """`1 charge`, `2 charges`."""
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
