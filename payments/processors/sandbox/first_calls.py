"""The first call of a charge: nearly all that ever comes, in a single statement.

A single statement needs no transaction around it, so it is one round trip, and it holds no lock
while this process thinks (or is stopped in the middle of thinking).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from models.base import as_rows
from payments.processors.sandbox import ledger
from payments.processors.sandbox.answers import Answer
from payments.processors.sandbox.requests import (
    ASKED,
    COLUMNS,
    REQUESTS,
    VALUES,
    Instruction,
    asked_for,
    plan,
)

_NEW = (
    insert(REQUESTS)
    .from_select(COLUMNS, select(*VALUES).order_by(ASKED.c.key), include_defaults=False)
    # A known key is nobody's first call: `books.apply` deals with it.
    .on_conflict_do_nothing(index_elements=[REQUESTS.c.key])
    .returning(*REQUESTS.c)
    .cte("new")
)
_TAKE = select(_NEW.c.key).add_cte(
    ledger.insert_from(
        select(*ledger.columns_of(_NEW, direction=_NEW.c.kind)).where(_NEW.c.status == "succeeded")
    ).cte("moved")
)


def take(connection: Connection, instructions: Sequence[Instruction]) -> dict[int, Answer]:
    """Carry out what is the first call of a charge; the answers by place in `instructions`.

    One statement, and only if there is something for it. What it leaves out is for `books.apply`.
    """
    first: dict[str, int] = {}
    for place, instruction in enumerate(instructions):
        if instruction.verb == "execute" and instruction.order.kind == "charge":
            first.setdefault(instruction.order.key, place)
    planned = {key: plan(instructions[place].order) for key, place in first.items()}
    asked = [
        asked_for(instructions[first[key]].order, verdict)
        for key, verdict in planned.items()
        if not verdict.tells  # An event is one more row in one more table; it can wait its turn.
    ]
    if not asked:
        return {}
    taken = connection.execute(_TAKE, {"asked": as_rows(asked)}).scalars()
    return {first[key]: planned[key].answer for key in taken}
