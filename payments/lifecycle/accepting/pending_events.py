"""The event that something was accepted: written only while an endpoint asks for it by name.

Nearly nobody does, and it would be as long as the event that tells the end. The row itself says
whether it was told: its `sequence` counts its events, and so begins with this one or with none. So
what is counted is what is told, whatever becomes of an endpoint between the two statements.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, FromClause, case

from payments.access.scopes import owner, owner_in
from payments.kinds import Kind, KindOf, R
from payments.transaction import Transaction
from payments.webhooks.events import Fact, is_named_by_anybody, publish


def first_sequence(kind: Kind, new: FromClause) -> ColumnElement[int]:
    """The `sequence` of these rows when they are written, in SQL: how many events they have."""
    return case((is_told(kind, new), 1), else_=0)


def is_told(kind: Kind, new: FromClause) -> ColumnElement[bool]:
    """Whether an endpoint asks to be told that these rows are pending, in SQL."""
    return is_named_by_anybody(_type(kind), owner_in(new))


def tell_pending(transaction: Transaction, kind: KindOf[R], inserted: Iterable[R]) -> None:
    """Publish that those of these rows are pending of which somebody asked to be told so."""
    told = [row for row in inserted if row.sequence]
    if told:
        type_, view = _type(kind), kind.view
        facts = [Fact(type_, r.id, r.sequence, view(r), r.now, owner(r)) for r in told]
        publish(transaction, facts)


def _type(kind: Kind) -> str:
    return f"{kind.name}.pending"
