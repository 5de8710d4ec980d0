"""The order of the suite names what is there."""

from pathlib import Path

from tests.support.turns import FIRST, TOGETHER

ROOT = Path(__file__).parents[2]


def test_what_has_a_turn_of_its_own_is_there() -> None:
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    for start in (*FIRST, *TOGETHER):
        assert any(path.startswith(start) for path in paths), start
