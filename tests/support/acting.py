"""Who acts in tests: what they do by hand, they do as somebody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.rows import columns_of
from payments.acting import Acting, person
from payments.kinds import KINDS
from payments.lifecycle.locks import locked
from payments.transaction import Database as Plain
from payments.transaction import Moved, Transaction

# What others write of a row that moved, in the same transaction: refunds are counted behind it, it
# may be claimed or woken, and what a dispute or the fees say of it comes after, with its event.
_BEHIND = {"refunded_amount", "refund_reserved", "disputed_amount", "restocked", "woken_at"}
# Of these only what an event tells that came after that of the move.
_TOLD_BEHIND = {"sequence", "fee", "net", "settlement_currency"}


def by(name: str) -> Acting:
    """A person of this name, at the command line."""
    return person(name, account="root", why="I looked")


ADA = by("ada")


class Database(Plain):
    """Transactions of somebody's, unless said otherwise. Each row that was moved must be what the
    move said that it would be: it is worked out, and not read."""

    def __init__(self, *args: Any, acting: Acting | None = ADA, **named: Any) -> None:
        super().__init__(*args, acting=acting, **named)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as transaction:
            yield transaction
            _compare(transaction)


def _compare(transaction: Transaction) -> None:
    # Tests also put in what is none.
    last = {one.row.id: one for one in transaction.moved if isinstance(one, Moved)}
    for kind in KINDS.values():
        said = {id_: one.row for id_, one in last.items() if one.operation == kind.name}
        for id_, row in locked(transaction, kind, said).items():
            is_leased_again = row.lease_token is not None
            behind = _BEHIND | (_TOLD_BEHIND if row.sequence > said[id_].sequence else set())
            for name, value in columns_of(row).items():
                expected = columns_of(said[id_])[name]
                if name not in behind and not is_leased_again and value != expected:
                    raise AssertionError(f"{id_}.{name} was to be {expected!r}, and is {value!r}")
