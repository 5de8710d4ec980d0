"""A scratch copy of the checkout, in which edits are tried and no line of them can be left out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = (
    "api", "billing_sdk", "cli", "docs", "infra", "local", "models", "payments", "service",
    "tasks", "tests", "worker",
)  # fmt: skip
NOT_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", ".*")


class Edit(NamedTuple):
    """Lines that are put before another, which is the only one that begins so."""

    before: str
    lines: str


Edits = Mapping[str, Sequence[Edit]]


def lines_of(edits: Edits) -> list[tuple[str, int]]:
    """Each line of the edits: its file, and its number among the lines put there."""
    return [
        (path, number)
        for path, ones in edits.items()
        for number in range(sum(edit.lines.count("\n") for edit in ones))
    ]


class Scratch:
    """A copy of the checkout, to be edited and tested."""

    def __init__(self, root: Path, edits: Edits) -> None:
        self.root, self._edits = root, edits
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=NOT_COPIED)
        shutil.copy(ROOT / "pyproject.toml", root)

    def edit(self, *, without: tuple[str, int] | None = None) -> None:
        """Make the edits anew, but for one line."""
        for path, edits in self._edits.items():
            text, number = (ROOT / path).read_text(), 0
            for before, lines in edits:
                kept = []
                for line in lines.splitlines(keepends=True):
                    kept += [] if (path, number) == without else [line]
                    number += 1
                assert text.count(f"\n{before}") == 1, f"{path}: {before}"
                text = text.replace(f"\n{before}", f"\n{''.join(kept)}{before}")
            (self.root / path).write_text(text)

    def is_python(self, path: str) -> bool:
        """Whether Python can read a file of the copy."""
        try:
            compile((self.root / path).read_text(), path, "exec")
        except SyntaxError:
            return False
        return True

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A program of the copy; what the environment says of this checkout does not count."""
        kept = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env={**kept, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def tested(self, *tests: str) -> subprocess.CompletedProcess[str]:
        return self.run("pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", *tests)

    def migrated(self, what: str, empty_database_url: str) -> None:
        """Have the migration written that the edits need."""
        written = self.run(
            "service.database.migrate",
            "new",
            what,
            BILLING_DATABASE_URL=empty_database_url,
            BILLING_BROKER_URL="redis://127.0.0.1:1",  # which nothing is asked of
            BILLING_DATA_DIR=str(self.root / "data"),
        )
        assert written.returncode == 0, written.stderr

    def unnoticed(self, tests: Iterable[str]) -> list[str]:
        """The lines of the edits without which these tests pass all the same."""
        found = []
        for path, number in lines_of(self._edits):
            self.edit(without=(path, number))
            # What Python can't even read is noticed by whatever imports it.
            if self.is_python(path) and self.tested(*tests).returncode == 0:
                found.append(f"line {number + 1} of {path}")
        return found
