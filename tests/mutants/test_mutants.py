"""What mutates, how tests are chosen, and a fixed sample of pure modules that must be killed."""

import ast
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutants.excused import EXCUSES
from tests.mutants.mutations import mutants_of, tree_of
from tests.mutants.pure import PURE
from tests.mutants.runner import _Finder
from tests.mutants.selection import Honest, Selection

ROOT = Path(__file__).parents[2]


def _mutated(folder: Path, source: str) -> list[tuple[str, str]]:
    """Each mutant of a text: what it is called, and the text that it is."""
    (folder / "m.py").write_text(dedent(source))
    return [(one.what, ast.unparse(tree_of(folder, one))) for one in mutants_of(folder, "m.py")]


def test_conditions_are_turned_dropped_and_shifted(tmp_path: Path) -> None:
    found = dict(_mutated(tmp_path, "x = a < 3 and not b\n"))
    assert found == {
        "and becomes or": "x = a < 3 or not b",
        "without the condition `a < 3`": "x = not b",
        "without the condition `not b`": "x = a < 3",
        "< becomes <=": "x = a <= 3 and (not b)",
        "3 becomes 4": "x = a < 4 and (not b)",
        "`not b` loses its not": "x = a < 3 and b",
    }


def test_calls_lose_arguments_and_lists_lose_elements(tmp_path: Path) -> None:
    found = dict(_mutated(tmp_path, "x = f(a, b=c)\ny = [a, b]\nz = {k: a}\nq.where(a, b)\n"))
    assert found["without b= in f()"].splitlines()[0] == "x = f(a)"
    assert "y = [b]" in found["without `a` in its list"]
    assert "z = {}" in found["without the entry `k`"]
    assert "q.where(b)" in found["without `a` in where()"]
    assert "pass" in found["without `q.where(a, b)`"]


def test_sql_is_mutated_word_by_word(tmp_path: Path) -> None:
    found = _mutated(tmp_path, 'q = "SELECT 1 FROM a WHERE x <= 3 AND y IS NULL"\n')
    assert [text for _, text in found] == [
        "q = 'SELECT 1 FROM a WHERE x < 3 AND y IS NULL'",
        "q = 'SELECT 1 FROM a WHERE x <= 3 OR y IS NULL'",
        "q = 'SELECT 1 FROM a WHERE x <= 3 AND y IS NOT NULL'",
    ]


def test_words_for_people_and_types_are_left_alone(tmp_path: Path) -> None:
    source = '''
        """A docstring."""
        from typing import Any

        def f(x: int | None = None) -> "str":
            """Another."""
            raise Wrong("send an amount instead")
    '''
    assert [what for what, _ in _mutated(tmp_path, source)] == [
        "without `raise Wrong('send an amount instead')`"
    ]


@pytest.mark.parametrize(
    "path", [*PURE, "payments/audit/invariants.py", "payments/lifecycle/accepting/charges.py"]
)
def test_every_mutant_is_one_difference_that_compiles(path: str) -> None:
    honest = ast.unparse(ast.parse((ROOT / path).read_text()))
    mutants = mutants_of(ROOT, path)
    for mutant in mutants[:: max(1, len(mutants) // 12)]:
        tree = tree_of(ROOT, mutant)
        compile(tree, path, "exec")
        assert ast.unparse(tree) != honest, mutant
    assert len({mutant.id for mutant in mutants}) == len(mutants)


def test_a_mutant_is_imported_in_the_place_of_the_module() -> None:
    (mutant,) = (
        m
        for m in mutants_of(ROOT, "payments/lifecycle/backoff.py")
        if m.what.startswith("300.0 becomes")
    )
    finder = _Finder(ROOT, mutant, tree_of(ROOT, mutant))
    spec = finder.find_spec("payments.lifecycle.backoff")
    module = type(sys)("payments.lifecycle.backoff")
    spec.loader.exec_module(module)
    assert module.UNAVAILABLE_MAX_S == 601.0
    assert finder.find_spec("payments.lifecycle.accepting.charges") is None


def test_tests_are_chosen_by_line_and_through_names(tmp_path: Path) -> None:
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments" / "a.py").write_text("LIMIT = 3\n_twice = LIMIT * 2\n")
    (tmp_path / "payments" / "b.py").write_text(
        "from payments.a import _twice\n\ndef f(x):\n    return x < _twice\n\ndef g(x):\n"
        "    return x + 1\n"
    )
    lines = {"payments/b.py": {4: ["slow", "quick"], 7: ["other"]}}
    tests = Honest(lines, {"slow": 9.0, "quick": 0.1, "other": 0.1}, {"slow": 1, "quick": 1})
    tests.breadth["other"] = 1
    paths = ["payments/a.py", "payments/b.py"]
    picks = Selection(tmp_path, paths, tests)

    def chosen(path: str, what: str) -> list[str]:
        (mutant,) = (m for m in mutants_of(tmp_path, path) if m.what == what)
        return picks.for_mutant(mutant)

    assert chosen("payments/a.py", "3 becomes 4") == ["quick", "slow"]
    assert chosen("payments/b.py", "+ becomes -") == ["other"]


def test_every_excuse_has_its_line() -> None:
    for excuse in EXCUSES:
        lines = {line.strip() for line in (ROOT / excuse.path).read_text().splitlines()}
        assert excuse.line in lines, f"{excuse.path} has no such line any more: {excuse.line}"
        assert len(excuse.reason) > 20, "say why"


def test_a_sample_of_a_pure_module_is_killed_by_its_own_tests() -> None:
    """In a process of its own, which has not imported what is to be mutated."""
    command = [sys.executable, "-m", "tests.mutants.pure", "12", "payments/lifecycle/backoff.py"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr[-2000:]
    assert "12 mutants" in told.stdout
