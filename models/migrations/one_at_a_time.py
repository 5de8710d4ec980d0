"""Releasing the first table before a migration changes the second."""

from alembic import op


def let_go() -> None:
    """Commit what was done so far, so that no table is locked while waiting for the next.

    Writers lock tables in various orders: a writer that has locked one of two and waits for the
    other may be waited for. What comes before this is repeated if what comes after it fails: so it
    must do no harm twice (`if_not_exists`). Only what comes last is committed together with the
    note that the migration is done.
    """
    with op.get_context().autocommit_block():
        pass
