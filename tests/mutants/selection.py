"""Which tests can see a mutant: those that run its line, the cheapest and most specific first.

A line of a function is run by whoever calls it. A line at module level is run by the import, which
says nothing; so there it is the lines that load a name which the statement binds, however many
statements and modules lie in between.
"""

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import coverage

from tests.mutants.mutations import Mutant

# What runs `payments` in its own process. The suites that start whole systems are left out: they
# cost half a minute each, and a wrong that only they notice should be noticed by a nearer test.
SUITES = ("tests/unit", "tests/contract", "tests/integration")
# A mutant is held against so many seconds of tests at most, as they took in the honest run.
BUDGET_S = 30.0
TESTS_MAX = 600
Place = tuple[str, str]  # module path, name at its top level


@dataclass
class Honest:
    """What the honest run showed."""

    lines: dict[str, dict[int, list[str]]]  # path → line → tests
    seconds: dict[str, float]
    breadth: dict[str, int] = field(default_factory=dict)  # how many lines each test runs

    def for_lines(self, path: str, lines: set[int]) -> set[str]:
        known = self.lines.get(path, {})
        return {test for line in lines for test in known.get(line, ())}


def learn(root: Path, folder: Path, suites: tuple[str, ...], *, jobs: int) -> None:
    """Run the honest suite once, and keep who runs what. Takes as long as the suite."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*"):
        old.unlink()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.covering"]
    command += ["-p", "no:randomly", "-p", "no:cacheprovider", "-n", str(jobs)]
    command += ["--dist", "loadfile", "--maxprocesses", str(jobs), *suites]
    environ = {**os.environ, "MUTANTS_COVERAGE": str(folder)}
    status = subprocess.run(command, cwd=root, env=environ, check=False).returncode
    if status not in (0, 1):  # a test that fails here is left out later; a run that broke is none
        raise SystemExit(f"the honest run ended with {status}")
    # A test whose name holds a number by chance can't be asked for again.
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *suites]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    (folder / "there").write_text("\n".join(line for line in said.splitlines() if "::" in line))


def load(root: Path, folder: Path) -> Honest:
    """What `learn` has kept of tests that passed and can be asked for by name."""
    there = set((folder / "there").read_text().splitlines())
    tests: dict[str, dict[str, float]] = {}
    for path in folder.glob("*.tests.json"):
        tests |= json.loads(path.read_text())
    passed = {name for name, told in tests.items() if told.get("passed") and "seconds" in told}
    good = passed & there
    lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    breadth: dict[str, int] = defaultdict(int)
    for path in folder.glob("*.coverage"):
        data = coverage.CoverageData(str(path))
        data.read()
        for file in data.measured_files():
            name = str(Path(file).resolve().relative_to(root))
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    if context in good:
                        lines[name][line].append(context)
                        breadth[context] += 1
    return Honest(lines, {name: tests[name]["seconds"] for name in good}, breadth)


class Selection:
    """Tests for mutants of the modules under `root`."""

    def __init__(self, root: Path, paths: list[str], tests: Honest) -> None:
        self.tests = tests
        self._trees = {path: ast.parse((root / path).read_text()) for path in paths}
        self._modules = {_module_name(path): path for path in paths}

    def for_mutant(self, mutant: Mutant) -> list[str]:
        """Node ids, in the order in which to run them, within the budget; [] when nobody looks."""
        found: set[str] = set()
        if mutant.in_function:
            found = self.tests.for_lines(mutant.path, self._near(mutant))
        # A function that only the import calls makes what stands at module level.
        found = found or self._through_names(mutant)
        chosen, spent = [], 0.0
        for test in sorted(found, key=self._cost):
            spent += self.tests.seconds[test]
            if len(chosen) == TESTS_MAX or (chosen and spent > BUDGET_S):
                break
            chosen.append(test)
        return chosen

    def _cost(self, test: str) -> tuple[float, str]:
        # A second costs as much as a hundred lines of others: small and quick tests go first.
        return self.tests.seconds[test] * 100 + self.tests.breadth[test], test

    def _near(self, mutant: Mutant) -> set[int]:
        """A statement of several lines is noted at its first; so the lines of the smallest one."""
        best: ast.stmt | None = None
        for node in ast.walk(self._trees[mutant.path]):
            inside = isinstance(node, ast.stmt) and (
                node.lineno <= mutant.line <= (node.end_lineno or node.lineno)
            )
            if inside and (best is None or node.lineno >= best.lineno):  # type: ignore[union-attr]
                best = node  # type: ignore[assignment]
        if best is None:
            return {mutant.line}
        return set(range(best.lineno, mutant.line + 1)) | {mutant.line}

    def _through_names(self, mutant: Mutant) -> set[str]:
        statement = next(
            s for s in self._trees[mutant.path].body
            if s.lineno <= mutant.top <= (s.end_lineno or s.lineno)
        )  # fmt: skip
        open_places: list[Place] = [(mutant.path, name) for name in _bound(statement)]
        seen = set(open_places)
        found: set[str] = set()
        while open_places:
            place = open_places.pop()
            for path, line, binds in self._loads.get(place, ()):
                if binds is None:
                    found |= self.tests.for_lines(path, {line})
                else:
                    fresh = {(path, name) for name in binds} - seen
                    seen |= fresh
                    open_places += fresh
        return found or {
            test for tests in self.tests.lines.get(mutant.path, {}).values() for test in tests
        }

    @cached_property
    def _loads(self) -> dict[Place, list[tuple[str, int, set[str] | None]]]:
        """Where each name of each module is loaded: the line, or the names that depend on it."""
        loads: dict[Place, list[tuple[str, int, set[str] | None]]] = defaultdict(list)
        for path, tree in self._trees.items():
            known = self._names(path, tree)
            for statement in tree.body:
                functions = _function_lines(statement)
                for node in ast.walk(statement):
                    place = self._place_of(node, known)
                    if place is None:
                        continue
                    line = node.lineno  # type: ignore[attr-defined]
                    binds = None if line in functions else _bound(statement)
                    loads[place].append((path, line, binds))
        return loads

    def _names(self, path: str, tree: ast.Module) -> dict[str, Place | str]:
        """What each name means at the top of a module: a place, or (a text) a module."""
        known: dict[str, Place | str] = {
            name: (path, name) for statement in tree.body for name in _bound(statement)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            for alias in node.names:
                name = alias.asname or alias.name
                if f"{node.module}.{alias.name}" in self._modules:
                    known[name] = self._modules[f"{node.module}.{alias.name}"]
                elif node.module in self._modules:
                    known[name] = (self._modules[node.module], alias.name)
        return known

    @staticmethod
    def _place_of(node: ast.AST, known: dict[str, Place | str]) -> Place | None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if isinstance(known.get(name), tuple):
                return known[name]  # type: ignore[return-value]
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if isinstance(
                known.get(name), str
            ):
                return str(known[name]), attribute
        return None


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at module level binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import() | ast.ImportFrom():
            return set()
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _function_lines(statement: ast.stmt) -> set[int]:
    return {
        line
        for node in ast.walk(statement)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in (node.body if isinstance(node.body, list) else [node.body])
        for line in range(child.lineno, (child.end_lineno or child.lineno) + 1)
    }
