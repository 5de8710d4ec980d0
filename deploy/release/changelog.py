"""Gathers the fragments of changelog.d/ into CHANGELOG.md, under the version of version.py:

    python3 deploy/release/changelog.py [--show]

A change brings a file of its own (changelog.d/README.md), so that two never want the same line.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "changelog.d"
README = "README.md"
# In the order of Keep a Changelog 1.1.0.
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
NAME = re.compile(rf"[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(KINDS)})\.md")
LENGTH_MAX = 800
UNRELEASED = "## Unreleased\n"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One change: of which kind it is, and what its users read."""

    kind: str
    text: str


def main() -> None:
    """Write CHANGELOG.md anew and let the fragments go; or show what would be written of them."""
    parser = argparse.ArgumentParser(description="Gather changelog.d/ into CHANGELOG.md.")
    parser.add_argument("--show", action="store_true", help="change nothing, print it")
    given = parser.parse_args()
    found = {path: read(path) for path in fragments()}
    if given.show:
        print(gathered(f"{UNRELEASED}\n", found.values()), end="")
        return
    path = CHECKOUT / "CHANGELOG.md"
    text = released(gathered(path.read_text(), found.values()), version(), datetime.now(UTC).date())
    path.write_text(text)
    for fragment in found:
        fragment.unlink()
    print(f"{len(found)} changes are under {version()} in CHANGELOG.md")


def fragments(folder: Path = FOLDER) -> list[Path]:
    """The files that say what changed."""
    return sorted(path for path in folder.iterdir() if path.name != README)


def read(path: Path) -> Fragment:
    """One of them. Ends with what is wrong with it, if anything is."""
    name, text = NAME.fullmatch(path.name), path.read_text().strip()
    trouble = (
        f"is not called words-with-dashes.KIND.md, with KIND one of {', '.join(KINDS)}"
        if name is None
        else "is empty"
        if not text
        else "is more than one paragraph"
        if "\n" in text
        else "begins with a dash, which is added when it is gathered"
        if text.startswith("- ")
        else "does not end with a full stop"
        if text[-1] not in ".:)"
        else f"is longer than {LENGTH_MAX} characters: the rest belongs in docs/"
        if len(text) > LENGTH_MAX
        else None
    )
    if trouble or name is None:
        sys.exit(f"changelog.d/{path.name} {trouble}")
    return Fragment(name[2], text)


def gathered(text: str, found: Iterable[Fragment]) -> str:
    """The changelog with these in its sections of what is not released."""
    before, begin, rest = text.partition(UNRELEASED)
    if not begin:
        sys.exit("CHANGELOG.md has no section Unreleased")
    end = rest.find("\n## ") + 1 or len(rest)
    sections, after = _sections(rest[:end]), rest[end:]
    for one in found:
        sections.setdefault(one.kind.capitalize(), []).append(f"- {one.text}")
    order = [kind.capitalize() for kind in KINDS]
    written = "".join(
        f"\n### {name}\n{chr(10).join(sections[name])}\n" for name in order if sections.get(name)
    )
    return before + begin + written + ("\n" if after else "") + after


def _sections(text: str) -> dict[str, list[str]]:
    """The lines of each kind; of a kind that comes twice, together."""
    sections: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("### "):
            name = line.removeprefix("### ")
            if name.lower() not in KINDS:
                sys.exit(f"CHANGELOG.md has a section {name} that is none of {', '.join(KINDS)}")
        elif line:
            sections.setdefault(name, []).append(line)
    return sections


def released(text: str, version: str, day: date) -> str:
    """The changelog with what was not released under this version, and a place for the next."""
    if f"\n## {version} " in text:
        sys.exit(f"CHANGELOG.md has {version} already: set the next one in version.py")
    return text.replace(UNRELEASED, f"{UNRELEASED}\n## {version} ({day.isoformat()})\n", 1)


def version() -> str:
    """The version in the only place where it stands."""
    text = (CHECKOUT / "infra/billing/version.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "version.py says it in one line"
    return found[1]


if __name__ == "__main__":
    main()
