"""What the site of docs/ makes of plain Markdown, and what each page owes its readers."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.documents.site import on_page_markdown

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {str(page.relative_to(DOCS)): page.read_text() for page in sorted(DOCS.rglob("*.md"))}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "how-to").mkdir(parents=True)
    (tmp_path / "SECURITY.md").touch()
    (tmp_path / "Procfile").touch()
    return tmp_path / "docs"


def shown(markdown: str, docs: Path) -> str:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/deploy.md"))
    return on_page_markdown(markdown, page=page, config={"docs_dir": str(docs)}, files=None)


@pytest.mark.parametrize(
    ("markdown", "site"),
    [
        ("the [Procfile](../../Procfile).", "the `Procfile`."),
        ("[report it](../../SECURITY.md#how)", "report it (`SECURITY.md`)"),
    ],
)
def test_a_file_beside_the_docs_is_named(markdown: str, site: str, docs: Path) -> None:
    assert shown(markdown, docs) == site


@pytest.mark.parametrize(
    "link",
    ["[states](../reference/states.md#a-charge)", "[spec](https://a.example/b.md)", "[x](#y)"],
)
def test_links_within_and_to_elsewhere_are_left_alone(link: str, docs: Path) -> None:
    assert shown(link, docs) == link


def test_a_link_to_nothing_is_refused(docs: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"NOTHING\.md"):
        shown("[x](../../NOTHING.md)", docs)


def test_a_diagram_of_states_is_a_table(docs: Path) -> None:
    diagram = """\
```mermaid
stateDiagram-v2
    [*] --> queued: accepted
    queued --> in_flight: claimed

    failed --> [*]
```
"""
    assert (
        shown(diagram, docs)
        == """\
| from | to | when |
|---|---|---|
|  | `queued` | accepted |
| `queued` | `in_flight` | claimed |
| `failed` |  |  |
"""
    )


def test_every_page_says_first_what_it_is_for() -> None:
    for name, text in PAGES.items():
        title, empty, first = text.splitlines()[:3]
        assert title.startswith("# "), name
        assert not empty, name
        assert re.match(r"[A-Z`].*[.:]", first), name


def test_every_part_of_a_page_that_is_to_be_run_is_run() -> None:
    tests = "".join(path.read_text() for path in (DOCS.parent / "tests").rglob("test_*.py"))
    marked = [
        (name, part)
        for name, text in PAGES.items()
        for part in re.findall(r"^<!-- run: (.+?) -->$", text, re.MULTILINE)
    ]
    assert marked
    for name, part in marked:
        assert re.search(rf'"{part}"\s*\)', tests), (name, part)
        assert Path(name).name in tests, name


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(listed) == sorted(pages)
