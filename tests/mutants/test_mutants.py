"""What mutates, how tests are chosen, and a fixed sample of pure modules that must be killed."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutants.excused import EXCUSES
from tests.mutants.learning import Honest, _Moved
from tests.mutants.mutations import mutants_of, tree_of
from tests.mutants.order import FIRST
from tests.mutants.pure import PURE
from tests.mutants.runner import _Finder
from tests.mutants.selection import Selection

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


def test_what_can_t_be_anyway_is_left_alone(tmp_path: Path) -> None:
    source = "for a, b in zip(c, d, strict=True):\n    assert a\nx = f(strict=True)\n"
    source += "y = frozenset({a})\n"
    assert [what for what, _ in _mutated(tmp_path, source)] == [
        "without strict= in f()",
        "True becomes False",
    ]


def test_a_mutant_is_the_same_one_when_its_statement_has_moved(tmp_path: Path) -> None:
    def ids(source: str) -> dict[str, str]:
        (tmp_path / "m.py").write_text(dedent(source))
        return {mutant.what: mutant.id for mutant in mutants_of(tmp_path, "m.py")}

    before = ids("class A:\n    x = 1\n    def f(self):\n        return 7\n")
    after = ids("y = 5\n\nclass A:\n    x = 2\n    def f(self):\n        return 7\n")
    same = {"7 becomes 8", "returns None, not `7`"}
    assert {what for what in before if before[what] == after.get(what)} == same
    changed = ids("class A:\n    x = 1\n    def f(self):\n        return 7 or 7\n")
    assert before["7 becomes 8"] not in changed.values()


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


def test_the_cheap_come_first_then_other_functions_then_other_cases(tmp_path: Path) -> None:
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments" / "a.py").write_text("def f(x):\n    return x < 3\n")
    seconds = {"t.py::a[1]": 0.1, "t.py::a[2]": 0.11, "t.py::a[3]": 0.12, "t.py::b": 0.15}
    lines = {"payments/a.py": {2: [*seconds]}}
    tests = Honest(lines, {**seconds}, dict.fromkeys(seconds, 1))
    picks = Selection(tmp_path, ["payments/a.py"], tests)
    first, *_, last = mutants_of(tmp_path, "payments/a.py")
    in_order = ["t.py::a[1]", "t.py::b", "t.py::a[2]", "t.py::a[3]"]
    assert picks.for_mutant(first) == in_order
    assert picks.for_mutant(first, budget_s=0.3) == in_order[:2]
    tests.shared_s["t.py::b"] = 9.0  # a fixture of the file is made for it
    assert picks.for_mutant(first)[-1] == "t.py::b"
    picks.killed_by(first, "t.py::a[3]")
    assert picks.for_mutant(last)[:2] == ["t.py::a[3]", "t.py::a[1]"]


def test_what_was_learned_follows_its_lines() -> None:
    before = "a\nb\nc\nd\n"
    assert _Moved(before, before).now([2, 3]) == {2, 3}
    assert _Moved(before, "new\na\nb\nc\nd\n").now([2, 3]) == {3, 4}
    # What has come in the place of a line, or between two, is what they ran.
    assert _Moved(before, "a\nB1\nB2\nc\nd\n").now([2]) == {2, 3}
    assert _Moved(before, "a\nb\nnew\nc\nd\n").now([3]) == {3, 4}
    assert _Moved(before, "a\nb\nnew\nc\nd\n").now([4]) == {5}


def test_modules_that_are_named_first_are_there() -> None:
    assert [name for name in FIRST if not (ROOT / "payments" / name).exists()] == []


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


def test_what_tests_kill_after_a_fresh_import_they_kill_in_the_warm_process(tmp_path: Path) -> None:
    """The whole way: what the tests of one module run is learned, and each mutant is a fork."""
    command = [sys.executable, "-m", "tests.mutants", "--folder", str(tmp_path), "--jobs", "1"]
    command += ["--only", "payments/lifecycle/backoff.py", "--sample", "6"]
    command += ["--learn-more", "tests/unit/test_backoff.py"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr[-2000:]
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(results) == 6
    # Its tests have read its constants when they were imported; the rest goes the warm way.
    assert {"killed", "survived"} >= {one["fate"] for one in results}
    assert any(one["cold"] is None and one["by"] for one in results)
    assert "payments/lifecycle/backoff.py" in (tmp_path / "survivors.md").read_text()
