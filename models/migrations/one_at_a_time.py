"""Between two tables that a migration changes: letting go of the first."""

from alembic import op


def let_go() -> None:
    """Commit what was done so far, so that no table is held while the next is waited for.

    Writers hold tables in orders of their own: whoever holds one of two and waits for the other may
    be waited for. What stands before this is done again when what stands behind it fails: so it
    must do no harm twice (`if_not_exists`). Only what comes last is done in one with the note that
    the migration is done.
    """
    with op.get_context().autocommit_block():
        pass
