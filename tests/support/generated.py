"""Tools with packages of their own, such as generators of clients.

They are installed once per lock, in a folder beside the virtual environment.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import children
from tests.support.promised import skip_or_fail
from tests.support.waiting import patience_s

LOCKED = Path(__file__).parents[1] / "contract" / "clients"
INSTALL_S = 240.0


def node_tools(locked: Path = LOCKED) -> Path:
    """A folder with the packages of npm that `locked` names; skips the test where that can't be."""
    if not shutil.which("node") or not shutil.which("npm"):
        skip_or_fail("NODE", "there is no node and npm here")
    files = [locked / "package.json", locked / "package-lock.json"]

    def make(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        _install(["npm", "ci", "--ignore-scripts", "--no-progress"], folder)

    return _made("node", files, make)


def python_tools(locked: Path = LOCKED) -> Path:
    """The `bin` of a virtual environment with the locked packages; skips likewise."""
    lock = locked / "requirements.lock"

    def make(folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        options = ["--quiet", "--no-deps", "--require-hashes", "--disable-pip-version-check"]
        _install([python, "-m", "pip", "install", *options, "-r", str(lock)], folder)

    return _made(f"python-{locked.name}", [lock], make) / "venv" / "bin"


def runtime(name: str) -> Path:
    """The program `deno` or `bun`: the one on the path, or with BILLING_TEST_REQUIRE_RUNTIMES=1
    (`make runtimes`) one from npm, which is 90 MB for both; otherwise skips the test."""
    if os.environ.get("BILLING_TEST_REQUIRE_RUNTIMES") == "1":
        modules = node_tools(LOCKED.parent / "runtimes") / "node_modules"
        found = [path for path in modules.glob(f"@*/*/**/{name}") if path.is_file()]
        assert found, f"npm has no {name} for this machine"
        return found[0]
    if there := shutil.which(name):
        return Path(there)
    pytest.skip(f"there is no {name} here; `make runtimes` brings it")


def run(command: Sequence[object], folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """What a command printed. Fails the test when the command does."""
    done = children.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=2 * patience_s(),
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def _made(name: str, files: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """A folder that is made once for these files, whoever of several processes comes first."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = Path(sys.prefix) / "tests" / f"{name}-{digest}"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / ".done").touch()
    return folder


def _install(command: Sequence[str], folder: Path) -> None:
    try:
        done = children.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        skip_or_fail("NODE", f"{command[0]} took longer than {INSTALL_S:g} s")
    else:
        if done.returncode:
            skip_or_fail("NODE", f"{command[0]} failed: {done.stderr[-500:]}")
