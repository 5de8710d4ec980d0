"""Hooks of MkDocs, which builds the site of docs/ (`make docs`): what plain Markdown has and a site
has not. MkDocs loads this file by its path, so it imports nothing from here."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(?:#[^)\s]*)?\)")
_DIAGRAM = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_ARROW = re.compile(r"^\s*(\S+) --> (\S+?)(?:: (.*))?$", re.MULTILINE)
_FRONT_DOOR = "[*]"


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The page as the site shows it. Raises FileNotFoundError for a link to a file that is not
    in the checkout."""
    docs = Path(config["docs_dir"]).resolve()
    here = docs / Path(page.file.src_uri).parent
    return _DIAGRAM.sub(_drawn, _LINK.sub(lambda link: _within(link, here, docs), markdown))


def _within(link: re.Match[str], here: Path, docs: Path) -> str:
    """A link to a file beside docs/ as the file's name: the site has only what is in it."""
    target = (here / link[2]).resolve()
    if target.is_relative_to(docs):
        return link[0]  # MkDocs checks it
    if not target.exists():
        raise FileNotFoundError(f"{here}: {link[2]}")
    name = f"`{target.relative_to(docs.parent)}`"
    return name if link[1].strip("`") in (target.name, name.strip("`")) else f"{link[1]} ({name})"


def _drawn(diagram: re.Match[str]) -> str:
    """A state diagram as a table: the library that draws it would have to be fetched by readers."""
    rows = [
        f"| {_state(source)} | {_state(target)} | {when or ''} |"
        for source, target, when in _ARROW.findall(diagram[1])
    ]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows, ""])


def _state(name: str) -> str:
    return "" if name == _FRONT_DOOR else f"`{name}`"
