"""The event that something was accepted: written only while an endpoint subscribes to it by name.

Hardly any endpoint does, and the event would be as long as the one about the end. The row's
`sequence` counts its events, so it starts at 1 if this event is published and at 0 if not. The same
statement that writes the row decides that, so the count matches what is published even if an
endpoint changes between the two statements.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, FromClause, case

from payments.access.scopes import owner, owner_in
from payments.kinds import Kind, KindOf, R
from payments.transaction import Transaction
from payments.webhooks.outbox import Fact, is_named_by_anybody, publish


def first_sequence(kind: Kind, new: FromClause) -> ColumnElement[int]:
    """The `sequence` of these rows when they are written, as SQL: how many events they have."""
    return case((is_subscribed_to(kind, new), 1), else_=0)


def is_subscribed_to(kind: Kind, new: FromClause) -> ColumnElement[bool]:
    """Whether an endpoint subscribes to the pending event of these rows, as SQL."""
    return is_named_by_anybody(_type(kind), owner_in(new))


def publish_pending(transaction: Transaction, kind: KindOf[R], inserted: Iterable[R]) -> None:
    """Publish the pending event of those of these rows that count it."""
    published = [row for row in inserted if row.sequence]
    if published:
        type_, view = _type(kind), kind.view
        facts = [Fact(type_, r.id, r.sequence, view(r), r.now, owner(r)) for r in published]
        publish(transaction, facts)


def _type(kind: Kind) -> str:
    return f"{kind.name}.pending"
