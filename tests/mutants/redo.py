"""Statements of modules, run again in a process that has imported them, with a mutant in one.

A table of moves or a statement of SQL at module level was made by the import. For a mutant of one
it is made again, and so is whatever else at module level was made from it; whoever has imported the
names gets the new objects. What can't be made twice (a class, a decorated function, a call for its
effect) is left to a fresh import.
"""

import ast
import sys
from collections import defaultdict, deque
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType

from tests.mutants.names import Known, Place, bound, in_functions, module_name, names_in, place_of

MADE = (ast.Assign, ast.AnnAssign)


class NotRepeatableError(Exception):
    """Something that depends on the mutant can't be made again; the text says what."""


@dataclass(frozen=True)
class Statement:
    """One at the top level of a module: what it binds, and what it loads when it runs, or later."""

    path: str
    number: int  # in the module
    node: ast.stmt = field(compare=False)
    binds: frozenset[str] = field(compare=False)
    now: frozenset[Place] = field(compare=False)
    later: frozenset[Place] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.path}:{self.node.lineno}"


@dataclass(frozen=True)
class Step:
    """A statement to run again in a module, and the names that it binds."""

    path: str
    code: CodeType
    names: frozenset[str]
    is_function: bool  # which stays the same object, and only gets its new defaults


@dataclass(frozen=True)
class Redo:
    """What to run again, in this order, and who has imported what it binds."""

    steps: tuple[Step, ...]
    holders: Mapping[Place, tuple[Place, ...]]
    modules: Mapping[str, ModuleType]

    def apply(self) -> None:
        for step in self.steps:
            space = self.modules[step.path].__dict__
            fresh = dict(space) if step.is_function else space
            exec(step.code, fresh)  # noqa: S102  # ours
            for name in step.names:
                if step.is_function:
                    space[name].__defaults__ = fresh[name].__defaults__
                    space[name].__kwdefaults__ = fresh[name].__kwdefaults__
                    continue
                for other, other_name in self.holders.get((step.path, name), ()):
                    self.modules[other].__dict__[other_name] = space[name]


class Modules:
    """All modules of the checkout that are imported, and how their statements hang together."""

    def __init__(self, root: Path, called: Mapping[str, Set[str]]) -> None:
        """`called`: by path, what the import has called at the top level of a module."""
        self._root = root
        self._called = called
        self.modules = _imported(root)
        self._statements: dict[str, list[Statement]] = {}
        self._loaders: dict[Place, list[Statement]] = defaultdict(list)
        self._holders: dict[Place, list[Place]] = defaultdict(list)
        trees = {path: ast.parse((root / path).read_text()) for path in self.modules}
        by_name = {module_name(path): path for path in trees}
        known = {path: names_in(path, tree, by_name) for path, tree in trees.items()}
        for path, tree in trees.items():
            self._read(path, tree, known)
        self._finished: dict[str, int] = {}
        for path in trees:
            self._finish(path, known, set())

    def again(self, path: str, top: int, mutated: ast.Module | None) -> tuple[Redo, set[str]]:
        """What to run again when the statement at this line is another; the files of tests that
        have used it when they were imported. Without a mutated module it is a function that does
        something else, and itself needs no second run. Raises NotRepeatableError."""
        if path not in self._statements:
            raise NotRepeatableError(f"{path} is not imported")
        first = next(
            one for one in self._statements[path]
            if one.node.lineno <= top <= (one.node.end_lineno or top)
        )  # fmt: skip
        again: set[Statement] = set()
        tests: set[str] = set()
        if mutated is not None:
            _must_be_repeatable(first)
            again.add(first)
        waiting = deque([first])
        seen = {first}
        while waiting:
            one = waiting.popleft()
            for other in {s for name in one.binds for s in self._loaders[one.path, name]}:
                runs = any((one.path, name) in other.now for name in one.binds)
                if Path(other.path).name.startswith("test_"):
                    tests |= {other.path} if runs else set()
                    continue
                if runs:
                    _must_be_repeatable(other)
                    again.add(other)
                if other not in seen and (runs or self._may_have_run(other)):
                    seen.add(other)
                    waiting.append(other)
        steps = []
        for one in sorted(again, key=lambda one: (self._finished[one.path], one.number)):
            node = one.node if one is not first or mutated is None else mutated.body[one.number]
            code = compile(ast.Module([node], []), str(self._root / one.path), "exec")
            steps.append(Step(one.path, code, one.binds, isinstance(node, ast.FunctionDef)))
        holders = {
            (step.path, name): tuple(self._holders[step.path, name])
            for step in steps
            for name in step.names
        }
        return Redo(tuple(steps), holders, self.modules), tests

    def _may_have_run(self, statement: Statement) -> bool:
        """Whether the import has called a function in it."""
        called = self._called.get(statement.path, frozenset())
        is_lambda = isinstance(statement.node, MADE) and "<lambda>" in called
        return is_lambda or not called.isdisjoint(statement.binds)

    def _finish(self, path: str, known: Mapping[str, Known], begun: set[str]) -> None:
        """Number the modules as the import has ended them: a module after those it imports."""
        if path in self._finished or path in begun:
            return
        begun.add(path)
        for meant in known[path].values():
            self._finish(meant if isinstance(meant, str) else meant[0], known, begun)
        self._finished[path] = len(self._finished)

    def _read(self, path: str, tree: ast.Module, known: Mapping[str, Known]) -> None:
        self._statements[path] = []
        for number, node in enumerate(tree.body):
            later = in_functions(node)
            loads: tuple[set[Place], set[Place]] = (set(), set())
            for inner in ast.walk(node):
                place = place_of(inner, known[path])
                if place is not None:
                    loads[id(inner) in later].add(_origin(place, known))
            statement = Statement(
                path, number, node, frozenset(bound(node)), *map(frozenset, loads)
            )
            self._statements[path].append(statement)
            for place in loads[0] | loads[1]:
                self._loaders[place].append(statement)
        for name, meant in known[path].items():
            if isinstance(meant, tuple) and meant[0] != path:
                self._holders[_origin(meant, known)].append((path, name))


def _must_be_repeatable(statement: Statement) -> None:
    node = statement.node
    is_plain_function = isinstance(node, ast.FunctionDef) and not node.decorator_list
    if not (is_plain_function or isinstance(node, MADE)):
        raise NotRepeatableError(f"{statement} can't be run twice")


def _origin(place: Place, known: Mapping[str, Known]) -> Place:
    """Where a name was bound that a module has only imported, to be imported from there."""
    for _ in range(10):
        meant = known.get(place[0], {}).get(place[1])
        if not isinstance(meant, tuple) or meant == place:
            break
        place = meant
    return place


def _imported(root: Path) -> dict[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(root) and ".venv" not in file:
            found[str(Path(file).relative_to(root))] = module
    return found
