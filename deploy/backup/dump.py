"""Writes a copy of the database into a folder, and keeps the last of them:

    .venv/bin/python deploy/backup/dump.py /var/backups/billing --keep 14

A copy is whole or not there: it gets its name once it was read again to its end. It holds what was
asked for, so keep it where few can read it. What a copy can't do, and what can: docs/how-to/
back-up-and-restore.md.
"""

import argparse
import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import database

NAME = "billing-{:%Y%m%dT%H%M%SZ}.dump"
FORM = "billing-*.dump"
# A copy that is being written, or whose program was killed. Writing and reading it again takes
# hours at most: one that was not written to for a day is abandoned.
PARTIAL = "billing-*.partial"
LEFT_S = 24 * 3600


def main() -> None:
    """Write one, then let old ones go."""
    parser = argparse.ArgumentParser(description="Write a copy of the database into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=int, default=14, help="how many to keep, the new one too")
    given = parser.parse_args()
    if given.keep < 1:
        parser.error("--keep must be 1 or more")
    os.umask(0o077)
    given.folder.mkdir(parents=True, exist_ok=True)
    sweep(given.folder)
    made = dump(given.folder / NAME.format(datetime.now(UTC)))
    # Only now: a failed copy must not cost any of the others.
    others = sorted(path for path in given.folder.glob(FORM) if path != made)
    for old in others[: max(0, len(others) + 1 - given.keep)]:
        old.unlink()
        sum_of(old).unlink(missing_ok=True)
    print(made)


def sweep(folder: Path) -> None:
    """Take away what copies left behind that were killed: it fills the disk, and is no copy."""
    for path in folder.glob(PARTIAL):
        if time.time() - path.stat().st_mtime > LEFT_S:
            path.unlink(missing_ok=True)


def dump(path: Path) -> Path:
    """Write a copy, all of one moment."""
    environ = database.environ()
    partial = path.with_suffix(".partial")
    try:
        # Permissions are not in it: `billing migrate` grants them, also if roles have other names.
        database.run(
            ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"],
            environ,
        )
        database.run(["pg_restore", f"--file={os.devnull}", partial], environ)
        sum_of(path).write_text(f"{digest(partial)}  {path.name}\n")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def sum_of(path: Path) -> Path:
    """Where the sum of a copy stands, as sha256sum writes it."""
    return path.with_name(f"{path.name}.sha256")


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
