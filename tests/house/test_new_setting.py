"""A new setting of a webhook endpoint, `team`, at every door: the column and the contract, and no
single line of them can be left out unnoticed. Its description stands in the contract twice, for who
asks and for who reads.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.scratch import ROOT, Edit, Edits, Scratch, lines_of

ROOMS, LINES_MAX = {"models", "infra/billing/contract"}, 8
EDITS: Edits = {
    # What is kept. The migration is written by `python -m service.database.migrate new`.
    "models/webhooks.py": (
        Edit("    # Custom headers of every webhook.", "    team: str | None\n"),
    ),
    # What may be asked, and what is shown.
    "infra/billing/contract/requests/endpoint_request.py": (
        Edit(
            "    max_in_flight: InFlight = Field(",
            """\
    team: Annotated[str, Field(json_schema_extra=lengths(1, 40)), characters(1, 40)] | None = Field(
        default=None, description="Who looks after it.", examples=["payments"]
    )
""",
        ),
    ),
    "infra/billing/contract/objects/webhook_objects.py": (
        Edit(
            "    max_in_flight: Annotated[",
            '    team: Annotated[str | None, Shown("Who looks after it.", example="payments")]\n',
        ),
    ),
}
# They need no server, and take seconds.
FAST = ("tests/unit/test_endpoint_settings.py", "tests/unit/test_shown_fields.py")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    yield Scratch(tmp_path, EDITS)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_new_setting_takes_few_lines_in_two_places() -> None:
    assert all(any(path.startswith(f"{room}/") for room in ROOMS) for path in EDITS)
    assert len(lines_of(EDITS)) <= LINES_MAX


@pytest.mark.timeout(900)  # of many processes, each with servers of its own
def test_a_new_setting_is_at_every_door(scratch: Scratch, empty_database_url: str) -> None:
    scratch.edit()
    scratch.migrated("teams of endpoints", empty_database_url)
    shutil.copy(
        ROOT / "tests/house/new_setting.py",
        scratch.root / "tests/integration/http/test_new_setting.py",
    )
    tested = scratch.tested(
        *FAST,
        "tests/integration/test_migrations.py::test_they_make_exactly_the_tables_of_the_models",
        "tests/integration/http/test_new_setting.py",
    )
    assert tested.returncode == 0, tested.stdout


@pytest.mark.timeout(900)
def test_no_line_of_it_can_be_left_out_unnoticed(scratch: Scratch) -> None:
    assert not scratch.unnoticed(FAST)
