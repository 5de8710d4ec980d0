"""The page: tables and plot of a document, put into docs/performance.md between two marks."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tools
from benchmarks.results import Document
from benchmarks.tables import Table, tables

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks --publish -->", "<!-- end of figures -->"


def publish(document: Document, page: Path = PAGE) -> None:
    """Writes the figures into the page, the plot and the document beside it."""
    text = page.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    plot, data = page.with_suffix(".svg"), page.with_suffix(".json")
    data.write_text(json.dumps(document, indent=1) + "\n")
    subprocess.run(
        [tools.python(), Path(__file__).with_name("plot.py"), data, plot], check=True, timeout=120
    )
    figures = "\n".join(lines(document, plot=plot.name, data=data.name))
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n{END}{after}")


def lines(document: Document, *, plot: str, data: str) -> Iterator[str]:
    """The Markdown of the figures."""
    machine = document["machine"]
    yield (
        f"Measured {document['measured_at'][:16].replace('T', ' ')} UTC on {machine['cores']} "
        f"cores with a load average of {machine['load_average']:.1f} before it began, Python "
        f"{machine['python']}, PostgreSQL {machine['server_version'].split()[0]} "
        f"(fsync {machine['fsync']}, synchronous_commit {machine['synchronous_commit']}, "
        f"full_page_writes {machine['full_page_writes']}). All in one run, in turns. Compare "
        f"within a table, not between machines. [Every round]({data})."
    )
    yield ""
    for name, reason in document["left_out"].items():
        yield f"Left out: {document['titles'].get(name, name)} ({reason})."
        yield ""
    yield f"![Charges a second, latency, CPU and WAL of each]({plot})"
    yield ""
    for table in tables(document):
        yield from markdown(table)


def markdown(table: Table) -> Iterator[str]:
    yield f"**{table.title}**"
    yield ""
    yield f"| {' | '.join(table.headings)} |"
    yield "|---" * len(table.headings) + "|"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"
    yield ""
    yield table.note
    yield ""
