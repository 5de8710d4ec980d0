"""Markdown of the generated pages: a table, a notice, text that a cell can hold."""

import re
from collections.abc import Iterator, Sequence

# For who edits the page; readers see nothing of it.
NOTICE = "<!-- Generated from the code by `python -m api.documents`: edit it there. -->"
# Sources name pages by their file in the checkout; a page of the reference links to them.
_PAGE = re.compile(r"docs/reference/([a-z-]+)\.md")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The lines of a table, and an empty one behind it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(cell(one) for one in row)} |" for row in rows)
    yield ""


def cell(value: object) -> str:
    """`value` as the text of one cell, in one line."""
    return linked(" ".join(str(value).split())).replace("|", "\\|")


def linked(text: str) -> str:
    """`text` with links in place of the names of other pages of the reference."""
    return _PAGE.sub(r"[\1](\1.md)", text)


def code(value: object) -> str:
    """`value` as code; nothing where there is none."""
    return f"`{value}`" if value not in (None, "") else ""


def anchor(heading: str) -> str:
    """The anchor of a heading, as Python-Markdown and code hosts make it of plain words."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
