"""The database that is backed up or restored: what PostgreSQL's programs must know to reach it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from psycopg import pq

CHECKOUT = Path(__file__).parents[2]


def environ() -> dict[str, str]:
    """The environment for pg_dump and the like: of the role that owns the tables, past a pooler.

    So no password stands on a command line, where others on the machine could read it. Ends the
    program, with a sentence, when the settings are wrong.
    """
    sys.path.insert(0, str(CHECKOUT))
    from service.settings import read
    from service.settings_errors import SettingsError

    try:
        url = read().migrated_at.replace("postgresql+psycopg://", "postgresql://", 1)
    except SettingsError as error:
        give_up(str(error))
    if not url:
        give_up("BILLING_DATABASE_DIRECT_URL or BILLING_DATABASE_URL must be set, or the …_FILE")
    parts = [one for one in pq.Conninfo.parse(url.encode()) if one.val and one.envvar]
    return os.environ | {one.envvar.decode(): one.val.decode() for one in parts}  # type: ignore[union-attr]


def run(command: Sequence[str | Path], given: dict[str, str]) -> str:
    """What one of PostgreSQL's programs printed; ends this one when it isn't there or fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=given,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        give_up(
            f"{command[0]} is not on the PATH: install PostgreSQL's client of your server's version"
        )
    if done.returncode:
        give_up(f"{command[0]} failed, as it says above")
    return done.stdout


def billing(*words: str) -> int:
    """Run a `billing` command, with its output shown; returns its exit code."""
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode


def give_up(why: str) -> NoReturn:
    """End with a sentence on stderr."""
    sys.stderr.write(f"{why}\n")
    sys.exit(1)
