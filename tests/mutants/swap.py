"""A mutant in a process that has `payments` imported: the code of the functions that have it.

Whoever holds a function (a route, a table of verbs, a decorator's closure) holds the same object,
so its `__code__` is exchanged and nobody has to be told. That does for a wrong which only functions
run; what the import has run is run again (`redo`), or left to a fresh import.
"""

import ast
import functools
import gc
import inspect
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from tests.mutants.mutations import Mutant, changed
from tests.mutants.redo import Modules, NotRepeatableError, Redo

Key = tuple[str, str, int]  # path, qualified name, first line
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


class NotSwappableError(Exception):
    """This mutant needs a fresh import; the text says why."""


@dataclass(frozen=True)
class Swap:
    """What a fork does to become the mutant, and which files of tests would not see it whole."""

    codes: tuple[tuple[FunctionType, CodeType], ...] = ()
    redo: Redo | None = None
    caches: tuple[Any, ...] = ()
    # These have used what is exchanged when they were imported.
    stale: frozenset[str] = frozenset()

    def apply(self) -> None:
        for function, code in self.codes:
            function.__code__ = code
        for cache in self.caches:
            cache.cache_clear()
        if self.redo is not None:
            self.redo.apply()


class ImportCalls:
    """Which of our functions were called by imports, and by which files of tests if only by such.
    Start it before anything of ours is imported."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._foreign = f"{root}{os.sep}.venv"
        self.callers: dict[Key, set[str]] = defaultdict(set)  # "": who isn't a file of tests

    def start(self) -> None:
        sys.setprofile(self._note)

    @staticmethod
    def stop() -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        if event != "call" or not path.startswith(self._root) or path.startswith(self._foreign):
            return
        if runs_at_once(code):
            return
        importer: FrameType | None = frame
        while importer is not None and importer.f_code.co_name != "<module>":
            importer = importer.f_back
        path = importer.f_code.co_filename if importer is not None else ""
        is_test = Path(path).name.startswith("test_") and path.startswith(self._root)
        self.callers[key_of(code)].add(path.removeprefix(self._root) if is_test else "")


class Swapper:
    """Finds what holds the functions of `payments` in this process. Made once all is imported, and
    before `gc.freeze`, which hides what there is."""

    def __init__(self, root: Path, calls: ImportCalls) -> None:
        self._root = root
        self._callers = calls.callers
        called: dict[str, set[str]] = defaultdict(set)
        for path, name, _ in calls.callers:
            called[str(Path(path).relative_to(root))].add(name.split(".")[0])
        self._modules = Modules(root, called)
        self._live: dict[Key, list[FunctionType]] = defaultdict(list)
        self._honest: dict[str, CodeType] = {}
        package = f"{root / 'payments'}{os.sep}"
        caches = []
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__code__.co_filename.startswith(package):
                self._live[key_of(one.__code__)].append(one)
            elif type(one) is functools._lru_cache_wrapper:
                caches.append(one)
        self._caches = tuple(one for one in caches if _is_ours(one, root))

    def plan(self, mutant: Mutant) -> Swap:
        """How a fork becomes the mutant. Raises NotSwappableError."""
        file = str(self._root / mutant.path)
        if mutant.path not in self._honest:
            self._honest[mutant.path] = compile(
                (self._root / mutant.path).read_text(), file, "exec"
            )
        with changed(self._root, mutant) as tree:
            mutated = compile(tree, file, "exec")
            found = _Difference()
            try:
                found.at_import(self._honest[mutant.path], mutated)
            except NotSwappableError:
                redo, tests = self._again(mutant, tree)
                return Swap((), redo, self._caches, frozenset(tests))
        codes: list[tuple[FunctionType, CodeType]] = []
        for honest, other, needed in found.functions:
            # Two lambdas may begin in one line.
            same_place = self._live.get(key_of(honest), [])
            holders = [one for one in same_place if _is_alike(one.__code__, honest)]
            if needed and not holders:
                raise NotSwappableError(f"nobody holds {honest.co_qualname}")
            if holders and honest.co_freevars != other.co_freevars:
                raise NotSwappableError(f"{honest.co_qualname} closes over other names")
            codes += [(one, other) for one in holders]
        if any(self._live.get(key_of(code)) for code in found.lost):
            raise NotSwappableError("a function that is held has no counterpart")
        called = {caller for key in found.differ for caller in self._callers.get(key, ())}
        redo = None
        if "" in called:
            redo, tests = self._again(mutant, None)
            called |= tests
        return Swap(tuple(codes), redo, self._caches, frozenset(called - {""}))

    def _again(self, mutant: Mutant, tree: ast.Module | None) -> tuple[Redo, set[str]]:
        try:
            return self._modules.again(mutant.path, mutant.top, tree)
        except NotRepeatableError as why:
            raise NotSwappableError(str(why)) from why


@dataclass
class _Difference:
    """What differs between an honest module's code and a mutant's."""

    # Honest, mutated, and whether the import must have made a function of it.
    functions: list[tuple[CodeType, CodeType, bool]] = field(default_factory=list)
    lost: list[CodeType] = field(default_factory=list)
    differ: list[Key] = field(default_factory=list)  # in themselves, not only in what they contain

    def at_import(self, honest: CodeType, other: CodeType) -> None:
        """Compare what the import runs: the module, bodies of classes, comprehensions in them."""
        if not _is_alike(honest, other):
            raise NotSwappableError("what the import runs differs")
        for mine, its in zip(_inner(honest), _inner(other), strict=True):
            if runs_at_once(mine):
                self.at_import(mine, its)
            elif mine != its:
                self._in_functions(mine, its, needed=True)

    def _in_functions(self, honest: CodeType, other: CodeType, *, needed: bool) -> None:
        self.functions.append((honest, other, needed))
        if not _is_alike(honest, other):
            self.differ.append(key_of(honest))
        inner, its_inner = list(_inner(honest)), list(_inner(other))
        if [one.co_name for one in inner] != [one.co_name for one in its_inner]:
            self.lost += [code for one in inner for code in (one, *_all_inner(one))]
            return
        for mine, its in zip(inner, its_inner, strict=True):
            if mine != its:
                self._in_functions(mine, its, needed=False)


def _is_ours(cache: Any, root: Path) -> bool:
    code = getattr(cache.__wrapped__, "__code__", None)
    file = code.co_filename if code is not None else ""
    return file.startswith(f"{root}{os.sep}") and not file.startswith(f"{root}{os.sep}.venv")


def key_of(code: CodeType) -> Key:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def runs_at_once(code: CodeType) -> bool:
    """Whether it runs where it stands: a module, the body of a class, a comprehension."""
    return not code.co_flags & inspect.CO_OPTIMIZED or code.co_name in COMPREHENSIONS


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (one for one in code.co_consts if isinstance(one, CodeType))


def _all_inner(code: CodeType) -> Iterator[CodeType]:
    for one in _inner(code):
        yield one
        yield from _all_inner(one)


def _is_alike(one: CodeType, other: CodeType) -> bool:
    """Whether they do the same, apart from what the functions in them do."""
    return _outline(one) == _outline(other)


def _outline(code: CodeType) -> tuple[object, ...]:
    # repr: 1, 1.0 and True are equal, and not the same.
    consts = [repr(c) if not isinstance(c, CodeType) else c.co_name for c in code.co_consts]
    return (
        code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        code.co_exceptiontable, code.co_flags, consts,
    )  # fmt: skip
