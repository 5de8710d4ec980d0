"""Small wrongs that a person could write, one at a time: the mutants of a module.

A mutant is the module's syntax tree with one node changed. Whole modules are mutated, not only
functions: here the statements, the tables of moves and the scripts stand at module level.

What is not mutated, since no promise hangs on it: docstrings, annotations, `__slots__` and the
like, sentences for people (texts with spaces that aren't SQL), log lines, types for mypy, what
can't be anyway (`assert`, `zip(strict=True)`), that a written set is frozen, and names of threads
and of parts of a statement.
"""

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.mutants.wrongs import Change, is_meant, wrongs_at

NOT_DATA = {"__tablename__", "__slots__", "__all__", "TYPE_CHECKING", "TypeVar", "cast", "Literal"}
NOT_WALKED = {"annotation", "returns", "decorator_list", "type_params", "bases"}
Chain = tuple[ast.AST, ...]  # a node after all that it stands in, the module first


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong: where, and what."""

    path: str  # of the module, from the root of the checkout
    line: int
    what: str  # `< becomes <=`
    number: int  # among the mutants of the module
    top: int  # line of the statement of the module in which it stands
    in_function: bool
    # The same as long as the text is of the statement in which it stands: of the module, or of a
    # class. So what is known of it outlives changes elsewhere in the module.
    id: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.what}"


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    return [mutant for mutant, _ in _source(path, (root / path).read_text())[1]]


@contextmanager
def changed(root: Path, mutant: Mutant) -> Iterator[ast.Module]:
    """The module with this wrong in it, until the end of the `with`."""
    tree, found = _source(mutant.path, (root / mutant.path).read_text())
    same = [change for one, change in found if one == mutant]
    if not same:
        raise LookupError(f"{mutant} is not there any more")
    undo = same[0]()
    try:
        yield ast.fix_missing_locations(tree)
    finally:
        undo()


def tree_of(root: Path, mutant: Mutant) -> ast.Module:
    """The module with this wrong in it, to keep."""
    with changed(root, mutant) as tree:
        return copy.deepcopy(tree)


@lru_cache(maxsize=4)
def _source(path: str, text: str) -> tuple[ast.Module, list[tuple[Mutant, Change]]]:
    """A module's tree and all that could be wrong in it, found once."""
    tree = ast.parse(text)
    lines = text.splitlines()
    ordinals: Counter[str] = Counter()
    found: list[tuple[Mutant, Change]] = []
    for chain in _walk((tree,)):
        node, top = chain[-1], chain[1]
        home = _home(chain, lines)
        for what, change in wrongs_at(node, chain[-2]):
            ordinals[home] += 1
            told = f"{path} {home} {ordinals[home]} {what}"
            mutant = Mutant(
                path=path,
                line=getattr(node, "lineno", getattr(top, "lineno", 1)),
                what=what,
                number=len(found) + 1,
                top=getattr(top, "lineno", 1),
                in_function=any(
                    isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in chain[:-1]
                ),
                id=hashlib.sha256(told.encode()).hexdigest()[:12],
            )
            found.append((mutant, change))
    return tree, found


def _walk(chain: Chain) -> Iterator[Chain]:
    if len(chain) > 1:
        yield chain
    for name, value in ast.iter_fields(chain[-1]):
        if name in NOT_WALKED:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_no_data(child, chain[-1]):
                yield from _walk((*chain, child))


def _home(chain: Chain, lines: Sequence[str]) -> str:
    """The text of the statement in which the node stands: of the module, or of a class in it."""
    statement, name = chain[1], ""
    if isinstance(statement, ast.ClassDef) and len(chain) > 2:
        statement, name = chain[2], statement.name
    decorators = getattr(statement, "decorator_list", [])
    begin = min(one.lineno for one in (statement, *decorators))  # type: ignore[attr-defined]
    return "\n".join((name, *lines[begin - 1 : statement.end_lineno]))  # type: ignore[attr-defined]


def _is_no_data(node: ast.AST, parent: ast.AST) -> bool:
    match node:
        case ast.keyword() if isinstance(parent, ast.Call):
            return not is_meant(parent, node)
        case ast.Expr(value=ast.Constant(value=str())):
            return True  # a docstring
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.JoinedStr():
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) if name in NOT_DATA:
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
            return True
        case ast.AnnAssign(value=None):
            return True
        case ast.Call(func=ast.Name(id="TypeVar" | "cast" | "NewType")):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger")))):
            return True  # for people
    return False
