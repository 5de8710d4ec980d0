"""Builds a release into a folder: wheel, sdist, npm tarball, bill of materials, and their sums.

    python3 deploy/release/make.py [--twice] [--without-npm] [--dirty] FOLDER

The version is that of infra/billing/version.py, and stands nowhere else. What is built depends on
the commit alone: its files, its time, and the locked tools. `--twice` builds it again elsewhere,
and fails when a byte is another.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

import changelog

CHECKOUT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SUMS = "SHA256SUMS"


def main() -> None:
    """Build once, or twice and compare."""
    parser = argparse.ArgumentParser(description="Build a release into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--twice", action="store_true", help="fail if it is not reproducible")
    parser.add_argument("--without-npm", action="store_true", help="the Python part alone")
    parser.add_argument(
        "--dirty", action="store_true", help="with what is not committed, for a try"
    )
    parser.add_argument("--python", help="one that has requirements.lock, in place of a new one")
    given = parser.parse_args()
    if not given.dirty and printed("git", "status", "--porcelain"):
        sys.exit("there are changes that are not committed: a release is a commit (or --dirty)")
    earlier(given.folder)
    if not given.dirty and (waiting := changelog.fragments()):
        sys.exit(f"{len(waiting)} changes are not in CHANGELOG.md: make changelog, and commit it")
    with tempfile.TemporaryDirectory(prefix="billing-release-") as name:
        folder = Path(name)
        python = given.python or tools(folder / "tools")
        made = [
            build(folder / str(n), python, npm=not given.without_npm)
            for n in range(2 if given.twice else 1)
        ]
        sums = [(one / SUMS).read_text() for one in made]
        if len({*sums}) > 1:
            sys.exit(f"not reproducible:\n{sums[0]}\n{sums[1]}")
        for path in earlier(given.folder):
            path.unlink()
        given.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(made[0].iterdir(), key=lambda path: path.name != SUMS):
            shutil.copy(path, given.folder)
    print(sums[0], end="")


def earlier(folder: Path) -> list[Path]:
    """The files of an earlier release in the folder: all that its sums name. Ends if there are
    others, which could be confused with this release's."""
    if not folder.exists():
        return []
    sums = folder / SUMS
    lines = sums.read_text().splitlines() if sums.exists() else []
    named = {SUMS, *(line.partition("  ")[2] for line in lines)}
    if others := sorted(path.name for path in folder.iterdir() if path.name not in named):
        sys.exit(f"{folder} holds what no release has made: {', '.join(others)}; move it away")
    return [*folder.iterdir()]


def build(folder: Path, python: str, *, npm: bool) -> Path:
    """Build from a copy of what git knows; the folder with what was built."""
    source, out = folder / "source", folder / "out"
    out.mkdir(parents=True)
    for name in printed("git", "ls-files", "-z").split("\0"):
        if name and (CHECKOUT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, source / name)
    epoch = int(printed("git", "log", "-1", "--format=%ct"))
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC", "LC_ALL": "C"}
    run([python, "-m", "hatchling", "build", "-d", str(out), "-t", "sdist", "-t", "wheel"],
        source, environ)  # fmt: skip
    version = version_of(source)
    bill = "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import sbom;"
    bill += "sbom.write(Path(sys.argv[2]), version=sys.argv[3], epoch=int(sys.argv[4]),"
    bill += " to=Path(sys.argv[5]))"
    lock, to = source / "requirements-telemetry.lock", out / f"billing-{version}.cdx.json"
    run([python, "-c", bill, str(HERE), str(lock), version, str(epoch), str(to)], source, environ)
    if npm:
        _npm(source / "clients/typescript", version, out, environ)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir())
    ]
    (out / SUMS).write_text("".join(lines))
    return out


def _npm(client: Path, version: str, out: Path, environ: dict[str, str]) -> None:
    """The TypeScript client, with this version."""
    package = json.loads((client / "package.json").read_text())
    text = json.dumps({**package, "version": version}, indent=2, ensure_ascii=False)
    (client / "package.json").write_text(f"{text}\n")
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], client, environ)
    run(["npm", "run", "build"], client, environ)
    run(["npm", "pack", "--ignore-scripts", "--pack-destination", str(out)], client, environ)


def version_of(source: Path) -> str:
    """The version in the only place where it stands."""
    text = (source / "infra/billing/version.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "version.py says it in one line"
    return found[1]


def tools(folder: Path) -> str:
    """A Python with the locked tools."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    run([python, "-m", "pip", "install", *options, "-r", str(HERE / "requirements.lock")], folder)
    return python


def printed(*command: str) -> str:
    return subprocess.check_output(command, cwd=CHECKOUT, text=True)


def run(command: Sequence[str], folder: Path, environ: dict[str, str] | None = None) -> None:
    """Run it; what it says is only of interest when it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
