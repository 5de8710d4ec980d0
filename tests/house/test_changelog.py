"""What changed is told in files of one form, and gathered without losing any."""

import sys
from datetime import date
from pathlib import Path

import pytest

from tests.support.programs import ROOT

sys.path.insert(0, str(ROOT / "deploy/release"))
import changelog  # a program of its own, in no package

TEXT = """# Changelog

## Unreleased

### Changed
- A thing is another.

### Added
- An old thing.

### Changed
- And another.

## 0.0.9 (2026-01-01)

### Fixed
- A thing.
"""


def test_every_fragment_is_as_it_should_be_and_can_be_gathered() -> None:
    found = [changelog.read(path) for path in changelog.fragments()]
    text = (ROOT / "CHANGELOG.md").read_text()
    after = changelog.gathered(text, found)
    assert all(f"- {one.text}\n" in after for one in found)
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert sorted(line for line in after.splitlines() if line.startswith("- ")) == sorted(
        [*lines, *(f"- {one.text}" for one in found)]
    )


def test_they_come_into_their_sections_under_the_version() -> None:
    found = [changelog.Fragment("added", "A new thing."), changelog.Fragment("security", "A hole.")]
    after = changelog.released(changelog.gathered(TEXT, found), "0.1.0", date(2026, 12, 1))
    assert (
        after
        == """# Changelog

## Unreleased

## 0.1.0 (2026-12-01)

### Added
- An old thing.
- A new thing.

### Changed
- A thing is another.
- And another.

### Security
- A hole.

## 0.0.9 (2026-01-01)

### Fixed
- A thing.
"""
    )
    with pytest.raises(SystemExit, match="already"):
        changelog.released(after, "0.1.0", date(2026, 12, 2))


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("Refunds.added.md", "Refunds wait.", "is not called"),
        ("refunds.new.md", "Refunds wait.", "is not called"),
        ("refunds.added.md", "", "is empty"),
        ("refunds.added.md", "Refunds wait.\n\nThey do.", "more than one paragraph"),
        ("refunds.added.md", "- Refunds wait.", "begins with a dash"),
        ("refunds.added.md", "Refunds wait", "full stop"),
        ("refunds.added.md", "x" * 801 + ".", "longer than"),
    ],
)
def test_one_that_is_not_well_formed_is_told(
    name: str, text: str, trouble: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SystemExit, match=f"{name} {trouble}|{name} .*{trouble}"):
        changelog.read(path)
