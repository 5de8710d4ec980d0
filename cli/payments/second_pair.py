"""`billing approval`: requests that a second person must approve."""

import typer

from cli import database_access, options, tables
from cli.actor import acts

COLUMNS = (
    "id", "state", "action", "object_id", "amount", "requested_by", "request_reason", "decided_by",
    "created_at",
)  # fmt: skip
NARROW = ("id", "state", "action", "amount", "requested_by")

ApprovalId = typer.Argument(metavar="APPROVAL_ID", help="apr_…, as in the list.")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What a second person must approve.")
    group.command("list")(list_)
    group.command("approve")(acts(approve))
    group.command("reject")(acts(reject))
    root.add_typer(group, name="approval")


def list_(
    state: str | None = typer.Option(None, help="pending, approved, rejected or overtaken."),
    object_id: str | None = typer.Option(
        None, "--object", metavar="ID", help="Those of this charge or refund."
    ),
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List requests and decisions, newest first."""
    from payments.lifecycle.approving import waiting

    with database_access.reading() as connection:
        found = waiting.every(connection, filters={"state": state, "object_id": object_id})
        tables.show_many(
            map(waiting.view, found), COLUMNS, narrow=NARROW, limit=limit, as_json=as_json,
            nothing="nothing was asked for",
        )  # fmt: skip


def approve(
    approval_id: str = ApprovalId,
    why: str = typer.Option(..., help="Why you approve it; it stays in the history."),
    as_json: options.Json = False,
) -> None:
    """Approve it, so that it is done. The person who asked for it may not."""
    _decide(approval_id, "approved", as_json=as_json)


def reject(
    approval_id: str = ApprovalId,
    why: str = typer.Option(..., help="Why not; it stays in the history."),
    as_json: options.Json = False,
) -> None:
    """Reject it. The person who asked for it may withdraw it like this."""
    _decide(approval_id, "rejected", as_json=as_json)


def _decide(approval_id: str, verdict: str, *, as_json: bool) -> None:
    from payments.lifecycle.approving import deciding, waiting

    with database_access.writing() as transaction:
        row = deciding.decide(transaction, approval_id, verdict)  # type: ignore[arg-type]  # of two
    tables.show(waiting.view(row), as_json=as_json)
