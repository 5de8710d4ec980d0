"""What may be reported of a bug: its kind and its place, never its values."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

# The checkout: frames inside it are ours, and are named by their path relative to it.
_HOME = Path(__file__).resolve().parent.parent

FRAMES_MAX = 12


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception without its message, which may quote a row, a request or a card number."""

    kind: str
    where: str
    frames: list[str]

    @property
    def text(self) -> str:
        return f"internal error {self.kind} in {self.where}"


def describe(error: BaseException) -> Fault:
    """The types of the error and its causes, and the lines it passed through."""
    kinds: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and len(kinds) < 4:
        seen.add(id(cause))
        kinds.append(_kind(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    places = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return Fault(" from ".join(kinds), _where(places), _frames(places))


def stack_of(frame: FrameType | None) -> list[str]:
    """Where a thread is right now: file, line and function of its innermost frames."""
    places = [
        (inner.f_code.co_filename, line, inner.f_code.co_name)
        for inner, line in traceback.walk_stack(frame)
    ]
    return _frames(places[::-1])


def _kind(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _where(places: list[tuple[str, int, str]]) -> str:
    """Our innermost line; the innermost of all if none is ours."""
    for file, line, _ in reversed(places):
        if _ours(Path(file)):
            return f"{_name(file)}:{line}"
    return f"{_name(places[-1][0])}:{places[-1][1]}" if places else "unknown"


def _frames(places: list[tuple[str, int, str]]) -> list[str]:
    return [f"{_name(file)}:{line} {function}" for file, line, function in places[-FRAMES_MAX:]]


def _name(file: str) -> str:
    path = Path(file)
    return path.relative_to(_HOME).as_posix() if _ours(path) else "/".join(path.parts[-2:])


def _ours(path: Path) -> bool:
    return path.is_relative_to(_HOME) and "site-packages" not in path.parts
