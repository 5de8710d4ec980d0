"""The API key of `billing up`: for use on this machine, kept in the data folder beside the data.

Other keys are shown once and not stored. This one belongs to an embedded database that only this
user can reach, and anyone who can read its file can also read that database's password.
"""

from pathlib import Path

from sqlalchemy import Engine

from payments.access import keys
from payments.acting import person
from payments.payment_errors import Refused
from payments.transaction import Database
from service.data_dir import write_private

FILE = "development-key"
# So that requests by HTTP and those by message without a producer's name have the same producer.
PRODUCER = "default"


def kept(folder: Path) -> str | None:
    """The key as it was made in this folder, or None."""
    path = folder / FILE
    return path.read_text().strip() if path.exists() else None


def ensure(engine: Engine, folder: Path) -> str:
    """The folder's key; a new one when there is none, or this database doesn't take it."""
    key = kept(folder)
    if key is not None and _is_good(engine, key):
        return key
    acting = person("billing up", why="a key for this machine")
    with Database(engine, acting=acting).transaction() as transaction:
        # On this machine one person is all producers.
        _, key = keys.create(transaction, producer=PRODUCER, all_producers=True)
    write_private(folder / FILE, f"{key}\n")
    return key


def _is_good(engine: Engine, key: str) -> bool:
    shown = keys.presented(key)
    if shown is None:
        return False
    with engine.connect() as connection:
        row = keys.read(connection, [shown.id]).get(shown.id)
    try:
        keys.admit(row, shown)
    except Refused:
        return False
    return True
