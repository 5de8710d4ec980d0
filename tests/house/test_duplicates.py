"""Nothing is written in the SDK and once more in the service: both stand on the contract."""

import ast
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SDK = CHECKOUT / "infra"
SERVICE = ("api", "cli", "models", "payments", "service", "tasks", "worker")
LINES = 6
# A class for each code, on either side of the door: what each is called and derived from, no more.
ALLOWED = {("infra/billing/errors.py", "payments/payment_errors.py")}


def lines_of(file: Path) -> list[str]:
    """The lines that do something: no comments, docstrings and imports, nor what only closes."""
    tree = ast.parse(file.read_text())
    left_out: set[int] = set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    texts = enumerate((line.strip() for line in file.read_text().splitlines()), 1)
    return [
        text
        for number, text in texts
        if number not in left_out and not text.startswith("#") and text.strip("()[]{},:")
    ]


def runs_of(file: Path) -> Iterator[tuple[str, ...]]:
    """Each run of so many lines."""
    lines = lines_of(file)
    return (tuple(lines[at : at + LINES]) for at in range(len(lines) - LINES + 1))


def test_no_six_lines_stand_on_both_sides() -> None:
    where: dict[tuple[str, ...], str] = {}
    for file in sorted(SDK.rglob("*.py")):
        where |= dict.fromkeys(runs_of(file), str(file.relative_to(CHECKOUT)))
    assert len(where) > 1000
    twice = {
        (where[run], str(file.relative_to(CHECKOUT)))
        for folder in SERVICE
        for file in (CHECKOUT / folder).rglob("*.py")
        for run in runs_of(file)
        if run in where
    }
    assert twice - ALLOWED == set()
