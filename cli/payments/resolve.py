"""`billing resolve`: a person decides what nothing else can settle."""

from enum import StrEnum

import typer

from cli import database_access, options, output, tables
from cli.actor import acts


class Decision(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRY = "retry"


def register(root: typer.Typer) -> None:
    root.command()(acts(resolve))


def resolve(
    id_: str = typer.Argument(metavar="ID", help="ch_… or re_…, which needs review."),
    decision: Decision = typer.Argument(
        help="What you found at the processor; retry only if you saw that nothing moved."
    ),
    why: str = typer.Option(..., help="What you saw; it stays in the history."),
    as_json: options.Json = False,
) -> None:
    """Decide on a charge or refund that needs review."""
    from payments.kinds import kind_of
    from payments.lifecycle import reviews

    policy = database_access.approvals()
    with database_access.writing() as transaction:
        row = reviews.resolve(transaction, id_, decision.value, approvals=policy)
    kind = kind_of(id_)
    assert kind is not None, "resolve has refused other ids"
    tables.show(kind.view(row), as_json=as_json)
    if policy.resolve:
        output.note("nothing is settled yet: somebody else must approve it (`billing approval`)")
