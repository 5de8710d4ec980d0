"""Restores a copy that dump.py made into an empty database, and proves it:

    .venv/bin/python deploy/backup/restore.py /var/backups/billing/billing-….dump

With the settings of the database that is to be filled, and no process of billing running. All of
the copy is there at the end, or nothing. Then `billing migrate` brings it up to date and gives the
service's role its rights, and `billing verify` holds every promise against it.
"""

import argparse
import sys
from pathlib import Path

import database
import dump

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"


def main() -> None:
    """Fill, bring up to date, prove."""
    parser = argparse.ArgumentParser(description="Restore a copy into an empty database.")
    parser.add_argument("copy", type=Path)
    copy: Path = parser.parse_args().copy
    if not copy.is_file():
        database.give_up(f"{copy} is not there")
    _require_whole(copy)
    environ = database.environ()
    found = database.run(["psql", "--no-psqlrc", "--tuples-only", "--command", TABLES], environ)
    if found.strip() != "0":
        database.give_up("the database has tables already: make an empty one, and name that")
    database.run(
        ["pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
         "--dbname=", copy], environ,
    )  # fmt: skip
    print("restored; now what came since, and the proof", flush=True)
    sys.exit(database.billing("migrate") or database.billing("verify"))


def _require_whole(copy: Path) -> None:
    """That it is the copy that was written, if its sum is beside it."""
    beside = dump.sum_of(copy)
    if beside.exists() and beside.read_text().split()[0] != dump.digest(copy):
        database.give_up(
            f"{copy} is not what was written: its SHA-256 is another than in {beside.name}"
        )


if __name__ == "__main__":
    main()
