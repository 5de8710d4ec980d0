"""Node with the packages of tests/contract/node, for the programs of our documentation."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import children
from tests.support.waiting import patience_s

PROJECT = Path(__file__).parents[1] / "contract" / "node"
MAJOR_MIN = 20  # of the `redis` package
INSTALL_S = 100.0


@dataclass(frozen=True)
class Node:
    """A folder in which programs run as they would in anybody's project."""

    folder: Path

    def run(self, name: str, program: str, environ: Mapping[str, str]) -> str:
        """Write the program into the folder and run it; what it printed. Raises when it fails."""
        (self.folder / name).write_text(program)
        done = children.run(
            ["node", name],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()


def install(folder: Path) -> Node:
    """A project in `folder` with the locked packages; skips the test where that can't be."""
    if not shutil.which("node") or not shutil.which("npm"):
        _skip_or_fail("there is no node and npm here")
    version = children.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.removeprefix("v").split(".")[0]) < MAJOR_MIN:
        _skip_or_fail(f"node {version.stdout.strip()} is older than {MAJOR_MIN}")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    try:
        done = children.run(
            ["npm", "ci", "--ignore-scripts", "--no-progress"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _skip_or_fail(f"npm ci took longer than {INSTALL_S:g} s")
    else:
        if done.returncode:
            _skip_or_fail(f"npm ci failed: {done.stderr[-500:]}")
    return Node(folder)


def _skip_or_fail(reason: str) -> None:
    """Skip where Node is a matter of taste, fail where it was promised."""
    if os.environ.get("BILLING_TEST_REQUIRE_NODE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
