"""Which tests can see a mutant: those that run its line, the cheapest and most specific first.

A line of a function is run by whoever calls it. A line at module level is run by the import, which
says nothing; so there it is the lines that load a name which the statement binds, however many
statements and modules lie in between.
"""

import ast
from collections import Counter, defaultdict, deque
from functools import cached_property
from pathlib import Path

from tests.mutants.learning import Honest, file_of
from tests.mutants.mutations import Mutant
from tests.mutants.names import Place, bound, in_functions, module_name, names_in, place_of

# A mutant is held against so many seconds of tests at most, as on an idle machine.
BUDGET_S = 60.0
TESTS_MAX = 600
# So many tests that have killed others in the same statement of the module are asked first.
KILLERS_MAX = 4


class Selection:
    """Tests for mutants of the modules under `root`."""

    def __init__(self, root: Path, paths: list[str], tests: Honest) -> None:
        self.tests = tests
        self._trees = {path: ast.parse((root / path).read_text()) for path in paths}
        self._modules = {module_name(path): path for path in paths}
        # By module and line of the statement: the last of many.
        self._killers: dict[tuple[str, int], deque[str]] = defaultdict(lambda: deque(maxlen=20))

    def for_mutant(self, mutant: Mutant, *, budget_s: float = BUDGET_S) -> list[str]:
        """Node ids, in the order in which to run them, within the budget; [] when nobody looks."""
        found: set[str] = set()
        if mutant.in_function:
            found = self.tests.for_lines(mutant.path, self._near(mutant))
        # A function that only the import calls makes what stands at module level.
        found = found or self._through_names(mutant)
        chosen, spent = [], 0.0
        files: set[str] = set()
        for test in self._in_order(mutant, found):
            # What tests of a file share is made once.
            shared_s = 0.0 if file_of(test) in files else self.tests.shared_s.get(test, 0.0)
            files.add(file_of(test))
            spent += self.tests.seconds[test] + shared_s
            if len(chosen) == TESTS_MAX or (chosen and spent > budget_s):
                break
            chosen.append(test)
        return chosen

    def killed_by(self, mutant: Mutant, test: str) -> None:
        """To be remembered: what one mutant is killed by, its neighbours often are, too."""
        self._killers[mutant.path, mutant.top].appendleft(test)

    def _in_order(self, mutant: Mutant, found: set[str]) -> list[str]:
        """The quick and specific first, other functions before other cases of the same, and other
        files before more of the same."""
        like: Counter[str] = Counter()
        costs: dict[str, float] = {}
        for test in sorted(found, key=lambda test: (self._cost(test), test)):
            function, file = test.split("[")[0], file_of(test)
            like.update((function, file))
            costs[test] = self._cost(test) * like[function] * (1 + like[file] / 4)
        first = [
            test
            for test in dict.fromkeys(self._killers.get((mutant.path, mutant.top), ()))
            if test in found
        ][:KILLERS_MAX]
        return list(dict.fromkeys([*first, *sorted(found, key=lambda test: (costs[test], test))]))

    def _cost(self, test: str) -> float:
        # A second costs as much as a thousand lines: small and quick tests go first.
        alone_s = self.tests.seconds[test] + self.tests.shared_s.get(test, 0.0)
        return alone_s * 1000 + self.tests.breadth[test]

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
        open_places: list[Place] = [(mutant.path, name) for name in bound(statement)]
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
            known = names_in(path, tree, self._modules)
            for statement in tree.body:
                later = in_functions(statement)
                for node in ast.walk(statement):
                    place = place_of(node, known)
                    if place is not None:
                        binds = None if id(node) in later else bound(statement)
                        loads[place].append((path, node.lineno, binds))  # type: ignore[attr-defined]
        return loads
