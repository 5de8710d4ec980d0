"""A new field of a charge, `statement_descriptor`, at every door: the edits without which it gets
lost, tried in a scratch copy of the checkout, where no single line of them can be left out
unnoticed. What comes on top, such as an argument of the SDK and what an adapter sends:
CONTRIBUTING.md.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FILES_MAX, LINES_MAX = 4, 15
COPIED = (
    "api", "billing_sdk", "cli", "docs", "infra", "local", "models", "payments", "service",
    "tasks", "tests", "worker",
)  # fmt: skip
NOT_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", ".*")


class Edit(NamedTuple):
    """Lines that are put before another, which is the only one that begins so."""

    before: str
    lines: str


EDITS: Mapping[str, tuple[Edit, ...]] = {
    # What may be asked.
    "infra/billing/contract/requests/charge.py": (
        Edit(
            "from infra.billing.contract.requests.rules import ",
            "from infra.billing.contract.requests.rules import characters, lengths\n",
        ),
        Edit(
            "    reference: Text | None = Field(",
            """\
    statement_descriptor: Annotated[
        str | None, Field(json_schema_extra=lengths(1, 22)), characters(1, 22)
    ] = Field(
        default=None,
        description="What the customer's bank statement says, at most 22 characters.",
        examples=["SHOP TICKETS"],
    )
""",
        ),
    ),
    # What is shown.
    "infra/billing/contract/objects/payments.py": (
        Edit(
            '    description: Annotated[str | None, Shown("The caller',
            """\
    statement_descriptor: Annotated[
        str | None, Shown("What the customer's bank statement says.", example="SHOP TICKETS")
    ]
""",
        ),
    ),
    # What is kept. The migration is written by `python -m service.database.migrate new`.
    "models/charges.py": (
        Edit("    refunded_amount: int", "    statement_descriptor: str | None\n"),
    ),
    # What the processor is told.
    "payments/processors/port.py": (
        Edit("    description: str | None = None", "    statement_descriptor: str | None = None\n"),
    ),
}
LINES = [
    (path, number)
    for path, edits in EDITS.items()
    for number in range(sum(edit.lines.count("\n") for edit in edits))
]
# They need no server, and take seconds.
FAST = (
    "tests/unit/test_asked_fields.py",
    "tests/unit/test_shown_fields.py",
    "tests/unit/test_requests.py",
    "tests/contract/test_objects.py::test_every_field_says_what_it_means",
)


class Scratch:
    """A copy of the checkout, to be edited and tested."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=NOT_COPIED)
        shutil.copy(ROOT / "pyproject.toml", root)

    def edit(self, *, without: tuple[str, int] | None = None) -> None:
        """Make the edits anew, but for one line."""
        for path, edits in EDITS.items():
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


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    yield Scratch(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_new_field_takes_few_lines_in_few_files() -> None:
    assert len(EDITS) <= FILES_MAX
    assert len(LINES) <= LINES_MAX


@pytest.mark.timeout(900)  # of many processes, each with servers of its own
def test_a_new_field_is_at_every_door(scratch: Scratch, empty_database_url: str) -> None:
    scratch.edit()
    written = scratch.run(
        "service.database.migrate",
        "new",
        "statement descriptors of charges",
        BILLING_DATABASE_URL=empty_database_url,
        BILLING_BROKER_URL="redis://127.0.0.1:1",  # which nothing is asked of
        BILLING_DATA_DIR=str(scratch.root / "data"),
    )
    assert written.returncode == 0, written.stderr
    shutil.copy(
        ROOT / "tests/house/new_field.py", scratch.root / "tests/integration/http/test_new_field.py"
    )
    tested = scratch.tested(
        *FAST,
        "tests/integration/test_migrations.py::test_they_make_exactly_the_tables_of_the_models",
        "tests/integration/http/test_new_field.py",
    )
    assert tested.returncode == 0, tested.stdout


@pytest.mark.timeout(900)
def test_no_line_of_it_can_be_left_out_unnoticed(scratch: Scratch) -> None:
    unnoticed = []
    for path, number in LINES:
        scratch.edit(without=(path, number))
        # What Python can't even read is noticed by whatever imports it.
        if scratch.is_python(path) and scratch.tested(*FAST).returncode == 0:
            unnoticed.append(f"line {number + 1} of {path}")
    assert not unnoticed


@pytest.mark.timeout(900)
def test_a_forgotten_migration_is_noticed(scratch: Scratch) -> None:
    scratch.edit()
    models = "tests/integration/test_migrations.py::test_they_make_exactly_the_tables_of_the_models"
    forgotten = scratch.tested(models)
    assert forgotten.returncode == 1
    assert "statement_descriptor" in forgotten.stdout
