"""Node with the packages of tests/contract/node, for the programs of our documentation."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import children, generated
from tests.support.promised import skip_or_fail
from tests.support.waiting import patience_s

PROJECT = Path(__file__).parents[1] / "contract" / "node"
MAJOR_MIN = 20  # of the `redis` package


@dataclass(frozen=True)
class Node:
    """A folder in which programs run as they would in anybody's project."""

    folder: Path

    def start(self, name: str, program: str, environ: Mapping[str, str], **options: Any) -> Any:
        """Write the program into the folder and start it."""
        (self.folder / name).write_text(program)
        return children.start(
            ["node", name],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
            **options,
        )

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
    """A project in `folder` with the locked packages, which are installed once for all; skips the
    test where that can't be."""
    tools = generated.node_tools(PROJECT)
    version = children.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.removeprefix("v").split(".")[0]) < MAJOR_MIN:
        skip_or_fail("NODE", f"node {version.stdout.strip()} is older than {MAJOR_MIN}")
    shutil.copy(PROJECT / "package.json", folder)
    (folder / "node_modules").symlink_to(tools / "node_modules")
    return Node(folder)
