"""What the site of docs/ makes of plain Markdown."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from api.documents.site import on_page_markdown


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
