"""`billing quarantine`: messages that could not be taken, and what becomes of them."""

import sys
from typing import Annotated

import typer

from cli import database_access, options, tables
from cli.actor import acts

COLUMNS = ("id", "created_at", "state", "queue", "reason", "size", "sha256")
NARROW = ("id", "created_at", "state", "reason")
SHA256_SHOWN = 12  # Enough to find it in the log, where it stands in full.

MessageId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1)]


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Messages that could not be taken.")
    group.command("list")(list_)
    group.command("show")(show)
    group.command("release")(acts(release))
    group.command("dismiss")(acts(dismiss))
    root.add_typer(group, name="quarantine")


def list_(limit: options.Limit = 20, as_json: options.Json = False) -> None:
    """List quarantined messages and the reasons, newest first; without their contents."""
    from payments.intake import quarantine

    with database_access.reading() as connection:
        views = (quarantine.view(row) for row in quarantine.every(connection))
        if not as_json:
            views = ({**view, "sha256": view["sha256"][:SHA256_SHOWN]} for view in views)
        tables.show_many(
            views,
            COLUMNS,
            narrow=NARROW,
            limit=limit,
            as_json=as_json,
            nothing="nothing lies in quarantine",
        )


def show(
    id_: MessageId,
    raw: bool = typer.Option(
        False,
        "--raw",
        help="The message itself, byte for byte, but card data. It may hold personal data.",
    ),
    as_json: options.Json = False,
) -> None:
    """Show a message: why it is here, and its headers without personal data."""
    from payments.intake import quarantine

    if raw and as_json:
        raise options.Misused("give one of --raw and --json: bytes are no JSON")
    with database_access.reading() as connection:
        row = quarantine.get(connection, id_)
    if not raw:
        tables.show(quarantine.details(row), as_json=as_json)
        return
    kept = quarantine.contents(row)
    masked = row.masked or kept != row.raw
    how = "with card data masked" if masked else "as it came"
    cut = f", the first {len(kept)} of its {row.size} bytes" if len(kept) < row.size else ""
    sys.stderr.write(f"{how}{'' if masked else cut}; it may hold personal data\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(kept)
    sys.stdout.buffer.flush()


def release(id_: MessageId, as_json: options.Json = False) -> None:
    """Put a request back on its queue, under its own id.

    For requests that failed by a bug of the service, or that the broker gave up.
    """
    from payments.intake import quarantine
    from worker.sending_again import send_again

    with database_access.writing() as transaction:
        request = quarantine.release(transaction, id_)
        # Before the commit, against the rule: a message that is not sent must not count as
        # released. Sent twice it does no harm, as its id, or its key, is the same.
        send_again(transaction, request)
    _show(id_, as_json=as_json)


def dismiss(
    id_: MessageId,
    why: str = typer.Option(..., help="What came of it; it stays with the message."),
    as_json: options.Json = False,
) -> None:
    """Dismiss a message, so that `billing verify` no longer reports it. It is not deleted."""
    from payments.intake import quarantine

    with database_access.writing() as transaction:
        quarantine.dismiss(transaction, id_)
    _show(id_, as_json=as_json)


def _show(id_: int, *, as_json: bool) -> None:
    from payments.intake import quarantine

    with database_access.reading() as connection:
        row = quarantine.get(connection, id_)
    tables.show(quarantine.view(row), as_json=as_json)
