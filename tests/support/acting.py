"""Who acts in tests: what they do by hand, they do as somebody."""

from typing import Any

from payments.acting import Acting, person
from payments.transaction import Database as Plain


def by(name: str) -> Acting:
    """A person of this name, at the command line."""
    return person(name, account="root", why="I looked")


ADA = by("ada")


class Database(Plain):
    """Transactions of somebody's, unless said otherwise."""

    def __init__(self, *args: Any, acting: Acting | None = ADA, **named: Any) -> None:
        super().__init__(*args, acting=acting, **named)
