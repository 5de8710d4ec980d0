"""A mutant in a process that has everything imported does what it does after a fresh import."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]

RATES = """
    from functools import cache, wraps

    BASE = 3
    DOUBLE = BASE * 2
    MOVES = {"a": BASE, "b": 5}

    def _made_at_import(x):
        return x + 7

    MADE = _made_at_import(BASE)

    def loudly(function):
        @wraps(function)
        def wrapper(x):
            return function(x) + 9
        return wrapper

    def with_default(x, y=BASE):
        return x + y

    @cache
    def cached(x):
        return x + 30

    class Till:
        step = 2

        def up(self, x):
            return x + self.step + 40

    SMALL = lambda x: x < 50
"""
TOTALS = """
    from payments.rates import DOUBLE, MADE, MOVES, SMALL, Till, cached, loudly, with_default
    from payments import rates

    TOTAL = sum(MOVES.values()) + DOUBLE
    HELD = {"cached": cached, "up": Till().up}

    @loudly
    def one(x):
        found = [y for y in (x, TOTAL) if y > 1]
        return found + [rates.BASE]

    def answer():
        held = {name: function(1) for name, function in HELD.items()}
        return [TOTAL, DOUBLE, MADE, MOVES, with_default(1), held, SMALL(49), SMALL(50), loud(4)]

    @loudly
    def loud(x):
        return x * 2 + TOTAL
"""
# Every mutant, first by a fresh import and then in a process that has imported all; each in a fork.
BOTH_WAYS = """
    import importlib, json, os, sys
    from pathlib import Path
    from tests.mutants.mutations import mutants_of, tree_of
    from tests.mutants.runner import _Finder
    from tests.mutants.swap import ImportCalls, NotSwappableError, Swapper

    root = Path.cwd()
    mutants = [m for path in ("payments/rates.py", "payments/totals.py")
               for m in mutants_of(root, path)]

    def in_fork(act):
        said, says = os.pipe()
        if os.fork() == 0:
            try:
                told = json.dumps(act())
            except NotSwappableError:
                told = json.dumps("cold")
            except Exception as error:
                told = json.dumps(type(error).__name__)
            os.write(says, told.encode())
            os._exit(0)
        os.close(says)
        os.wait()
        with os.fdopen(said) as lines:
            return json.loads(lines.read())

    def fresh(mutant):
        sys.meta_path.insert(0, _Finder(root, mutant, tree_of(root, mutant)))
        return importlib.import_module("payments.totals").answer()

    cold = [in_fork(lambda: fresh(mutant)) for mutant in mutants]
    calls = ImportCalls(root)
    calls.start()
    totals = importlib.import_module("payments.totals")
    calls.stop()
    honest = in_fork(totals.answer)
    totals.answer()  # caches are full now
    swapper = Swapper(root, calls)

    def swapped(mutant):
        swap = swapper.plan(mutant)
        swap.apply()
        return [("redo" if swap.redo else "swap"), totals.answer()]

    warm = [in_fork(lambda: swapped(mutant)) for mutant in mutants]
    print(json.dumps({"honest": honest, "mutants": [
        [str(m), c, w] for m, c, w in zip(mutants, cold, warm)]}))
"""


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, str, object]]:
    """By mutant: what it answers after a fresh import, which way it went, and the answer there."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "payments").mkdir()
    for name, text in (("__init__", ""), ("rates", RATES), ("totals", TOTALS)):
        (folder / "payments" / f"{name}.py").write_text(dedent(text))
    told = subprocess.run(
        [sys.executable, "-c", dedent(BOTH_WAYS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    return {
        name: (fresh, *(warm if isinstance(warm, list) else (warm, fresh)))
        for name, fresh, warm in found["mutants"]
    } | {"honest": (found["honest"], "honest", found["honest"])}


def _ways(both_ways: dict[str, tuple[object, str, object]], what: str) -> set[str]:
    return {way for name, (_, way, _) in both_ways.items() if what in name}


def test_every_mutant_answers_the_same_both_ways(
    both_ways: dict[str, tuple[object, str, object]],
) -> None:
    assert len(both_ways) > 50
    # What can't even be imported is left to a fresh import in the end: swapping it raises, too.
    assert {
        name: (fresh, warm)
        for name, (fresh, _, warm) in both_ways.items()
        if fresh != warm and not isinstance(fresh, str)
    } == {}
    honest = both_ways["honest"][0]
    differ = sum(fresh != honest for fresh, _, _ in both_ways.values())
    assert differ > 30


def test_functions_are_swapped_wherever_they_are_held(
    both_ways: dict[str, tuple[object, str, object]],
) -> None:
    assert _ways(both_ways, "30 becomes 31") == {"swap"}  # held by a cache
    assert _ways(both_ways, "40 becomes 41") == {"swap"}  # held as a method
    assert _ways(both_ways, "9 becomes 10") == {"swap"}  # the closure of a decorator
    assert _ways(both_ways, "50 becomes 51") == {"swap"}  # a lambda


def test_what_the_import_made_is_made_again(
    both_ways: dict[str, tuple[object, str, object]],
) -> None:
    assert _ways(both_ways, "7 becomes 8") == {"redo"}  # a function that the import has called
    assert _ways(both_ways, "without the entry `'a'`") == {"redo"}
    assert _ways(both_ways, "rates.py:4  3 becomes 4") == {"redo"}  # and a default made from it
    assert _ways(both_ways, "2 becomes 3") >= {"cold"}  # in the body of a class
