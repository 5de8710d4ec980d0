"""A new field of a charge, `gift_note`, at every door: the edits without which it gets
lost, tried in a scratch copy of the checkout, where no single line of them can be left out
unnoticed. What comes on top, such as an argument of the SDK and what an adapter sends:
CONTRIBUTING.md.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.scratch import ROOT, Edit, Edits, Scratch, lines_of

FILES_MAX, LINES_MAX = 4, 15
EDITS: Edits = {
    # What may be asked.
    "infra/billing/contract/requests/charge_request.py": (
        Edit(
            "from infra.billing.contract.requests.rules import ",
            "from infra.billing.contract.requests.rules import characters, lengths\n",
        ),
        Edit(
            "    reference: Text | None = Field(",
            """\
    gift_note: Annotated[
        str | None, Field(json_schema_extra=lengths(1, 22)), characters(1, 22)
    ] = Field(
        default=None,
        description="What is written on the parcel, at most 22 characters.",
        examples=["FOR ADA"],
    )
""",
        ),
    ),
    # What is shown.
    "infra/billing/contract/objects/charge_objects.py": (
        Edit(
            '    description: Annotated[str | None, Shown("The caller',
            """\
    gift_note: Annotated[
        str | None, Shown("What is written on the parcel.", example="FOR ADA")
    ]
""",
        ),
    ),
    # What is kept. The migration is written by `python -m service.database.migrate new`.
    "models/charge_tables.py": (Edit("    refunded_amount: int", "    gift_note: str | None\n"),),
    # What the processor is told.
    "payments/processors/port.py": (
        Edit("    description: str | None = None", "    gift_note: str | None = None\n"),
    ),
}
# They need no server, and take seconds.
FAST = (
    "tests/unit/test_asked_fields.py",
    "tests/unit/test_shown_fields.py",
    "tests/unit/test_requests.py",
    "tests/contract/test_objects.py::test_every_field_says_what_it_means",
)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    yield Scratch(tmp_path, EDITS)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_new_field_takes_few_lines_in_few_files() -> None:
    assert len(EDITS) <= FILES_MAX
    assert len(lines_of(EDITS)) <= LINES_MAX


@pytest.mark.timeout(900)  # of many processes, each with servers of its own
def test_a_new_field_is_at_every_door(scratch: Scratch, empty_database_url: str) -> None:
    scratch.edit()
    scratch.migrated("gift notes of charges", empty_database_url)
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
    assert not scratch.unnoticed(FAST)


@pytest.mark.timeout(900)
def test_a_forgotten_migration_is_noticed(scratch: Scratch) -> None:
    scratch.edit()
    models = "tests/integration/test_migrations.py::test_they_make_exactly_the_tables_of_the_models"
    forgotten = scratch.tested(models)
    assert forgotten.returncode == 1
    assert "gift_note" in forgotten.stdout
