"""The house rules that no linter knows: STYLE in the form of tests."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = ("models", "payments", "service", "tasks", "worker", "api", "cli", "local", "infra")
FILES = sorted(path for part in HOUSE for path in (ROOT / part).rglob("*.py"))
# The SDK stands alone in other people's programs, so it reads its two variables itself.
READERS = {"service/settings.py", "infra/billing/client.py"}

# About 300 lines; migrations are written once and read once.
LINES_MAX = 360


def test_every_file_begins_with_what_it_is() -> None:
    """The first line of a file finishes the sentence “this is …”."""
    without = [
        str(path.relative_to(ROOT))
        for path in FILES
        if not _summary(path).endswith((".", ":", "?", "…"))
    ]
    assert not without


def test_no_file_needs_a_table_of_contents() -> None:
    """A file of more than about 300 lines is two."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in FILES
        if "migrations" not in path.parts
    }
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}


def _summary(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(word in path.read_text() for word in ("os.environ", "getenv"))
    }
    assert readers <= READERS


def test_the_processes_of_the_procfile_are_the_documented_ones() -> None:
    names = [line.split(":")[0] for line in (ROOT / "Procfile").read_text().splitlines() if line]
    assert names == ["worker", "webhooks", "web", "beat", "flower"]
