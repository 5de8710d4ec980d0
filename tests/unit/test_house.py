"""The house rules that no linter knows: STYLE in the form of tests."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ("models", "payments", "service", "tasks", "worker", "api", "cli", "local", "infra")
FILES = sorted(path for part in HOUSE for path in (ROOT / part).rglob("*.py"))
# The SDK stands alone in other people's programs, so it reads its two variables itself.
READERS = {"service/settings.py", "infra/billing/client.py"}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@each_file
def test_every_file_begins_with_what_it_is(path: Path) -> None:
    summary = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    assert summary.endswith((".", ":", "?", "…")), (
        "the first line finishes the sentence “this is …”"
    )


# About 300 lines. Migrations are written once and read once.
SHORT = [path for path in FILES if "migrations" not in path.parts]


@pytest.mark.parametrize("path", SHORT, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_needs_a_table_of_contents(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 360


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
