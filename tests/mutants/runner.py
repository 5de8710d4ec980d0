"""Runs mutants: each in a fork of a process that has everything warm but `payments` itself.

What costs time is done once: servers run, the template of the databases is there, Celery,
SQLAlchemy and pytest are imported. A fork imports `payments` with the one wrong in it, by a loader
of its own, and runs the tests that can see it until one fails. Nothing is written to disk, so a run
that dies leaves no wrong behind.
"""

import ast
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.mutants.fates import KILLED, SURVIVED, TIMEOUT, UNSEEN
from tests.mutants.lending import lend
from tests.mutants.mutations import Mutant, tree_of
from tests.support import children

WARM = (
    "aiohttp", "alembic", "celery.app.task", "celery.worker", "fastapi", "httpx",
    "hypothesis.stateful",
    "kombu.transport.pyamqp", "models", "psycopg", "pytest_timeout", "redis", "rich.progress",
    "sqlalchemy.dialects.postgresql.psycopg", "sqlmodel", "standardwebhooks", "structlog", "typer",
    "uvicorn", "service.settings", "xdist.plugin", "_hypothesis_pytestplugin", "fakeredis",
)  # fmt: skip
# So many times what the tests took in the honest run, and something for the start: a mutant that
# makes a loop endless is killed by this, and on a busy machine no other is.
PATIENCE, START_S = 8.0, 45.0


class _Loader(importlib.abc.Loader):
    """Executes a module from a tree instead of from its file."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self._path = path
        self._tree = tree

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, self._path, "exec"), module.__dict__)  # noqa: S102  # ours


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the one mutated module before anybody else does."""

    def __init__(self, root: Path, mutant: Mutant, tree: ast.Module) -> None:
        self._name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path = str(root / mutant.path)
        self._loader = _Loader(self._path, tree)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self._name:
            return None
        package = self._path.endswith("__init__.py")
        spec = importlib.machinery.ModuleSpec(
            fullname, self._loader, origin=self._path, is_package=package
        )
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [str(Path(self._path).parent)]
        return spec


class Runner:
    """Servers, warm imports, and forks. Use as `with runner(root) as …`."""

    def __init__(
        self, root: Path, servers: Any, *, options: Sequence[str] = (), first: int = 1
    ) -> None:
        self._root = root
        self._servers = servers
        self._options = options
        self._numbers = count(first)

    def run(self, mutant: Mutant | None, tests: Sequence[str], seconds: Mapping[str, float]) -> str:
        """What became of a mutant, or (without one) of the honest code. `seconds` are what the
        tests took in the honest run.

        Each file of tests is a session of its own, in the order of its first test: tests of one
        file know how to share a database, those of two may not.
        """
        if not tests:
            return UNSEEN
        files: dict[str, list[str]] = {}
        for test in tests:
            files.setdefault(test.split("::")[0], []).append(test)
        for group in files.values():
            fate = self._run(mutant, group, [seconds.get(test, 0.0) for test in group])
            if fate != SURVIVED:
                return fate
        return SURVIVED

    def _run(self, mutant: Mutant | None, tests: Sequence[str], seconds: list[float]) -> str:
        number = next(self._numbers)
        pid = children.fork()
        if pid == 0:
            self._be(mutant, tests, number, START_S + PATIENCE * max(seconds))
        deadline = time.monotonic() + START_S + PATIENCE * sum(seconds)
        while time.monotonic() < deadline:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                return SURVIVED if status == 0 else KILLED
            time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return TIMEOUT

    def _be(
        self, mutant: Mutant | None, tests: Sequence[str], number: int, timeout_s: float
    ) -> None:
        """Run the tests in this fork; does not return."""
        status = 1
        try:
            os.setpgid(0, 0)
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(silence, descriptor)
            if mutant is not None:
                sys.meta_path.insert(0, _Finder(self._root, mutant, tree_of(self._root, mutant)))
            if self._servers is not None:
                lend(self._servers, number)
            import pytest

            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
            options += ["--no-header", "--no-summary", "-o", f"timeout={timeout_s:.0f}"]
            status = int(pytest.main([*options, *self._options, *tests]))
        except BaseException:  # noqa: BLE001  # a module that can't even be imported is noticed, too
            status = 1
        finally:
            os._exit(status)
