"""State changes at the sandbox after the answer was given: by themselves, or by the customer."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Select,
    bindparam,
    case,
    exists,
    func,
    null,
    select,
    update,
)

from models.base import id_among, table_of
from models.rows import SandboxRequestRow
from models.sandbox import SandboxRequest
from payments.payment_errors import MoveNotAllowed, NotFound
from payments.processors.sandbox import ledger
from payments.processors.sandbox.sandbox_events import tell
from payments.processors.sandbox.sandbox_scripts import AUTHORIZED_FOR, TURNED_DOWN, Status
from payments.transaction import read

_REQUESTS = table_of(SandboxRequest)

# Whether `turn_due` would find any.
ANY_DUE = exists().where(_REQUESTS.c.turns_at <= func.now())
_DUE = (
    select(_REQUESTS.c.key, _REQUESTS.c.status)
    .where(_REQUESTS.c.turns_at <= func.now())
    .order_by(_REQUESTS.c.key)
    # If it is locked, another transaction is changing it; this one finds it changed next time.
    .with_for_update(skip_locked=True)
)


def _turn(due: Select[Any]) -> Executable:
    # A CTE is evaluated once; a subquery may be evaluated again and lock more than the limit.
    was = due.cte("was")
    declines = _REQUESTS.c.turns_to == "declined"
    code, processor_code = (
        case(
            *(
                (declines & (_REQUESTS.c.kind == kind), words[n])
                for kind, words in TURNED_DOWN.items()
            ),
            else_=None,
        )
        for n in (0, 1)
    )
    # What a customer completes is authorized first, if it is to be captured by hand; and a charge
    # that is released in the end may have been captured in part.
    is_authorized = (
        (_REQUESTS.c.turns_to == "succeeded")
        & (_REQUESTS.c.capture == "manual")
        & (was.c.status == "pending")
    )
    is_taken = (was.c.status == "authorized") & (_REQUESTS.c.captured > 0)
    ends_at = func.now() + AUTHORIZED_FOR
    return (
        update(_REQUESTS)
        .where(_REQUESTS.c.key == was.c.key)
        .values(
            status=case(
                (is_authorized, "authorized"),
                (is_taken, "succeeded"),
                else_=_REQUESTS.c.turns_to,
            ),
            code=code,
            processor_code=processor_code,
            capture_before=case((is_authorized, ends_at), else_=_REQUESTS.c.capture_before),
            turns_at=case((is_authorized, ends_at), else_=null()),
            turns_to=case((is_authorized, "canceled"), else_=null()),
        )
        .returning(*_REQUESTS.c, was.c.status.label("was"))
    )


_TURN_DUE = _turn(_DUE.limit(bindparam("limit")))
_TURN_THESE = _turn(_DUE.where(id_among(_REQUESTS.c.key)))

_DECIDE = (
    update(_REQUESTS)
    .where(id_among(_REQUESTS.c.key), _REQUESTS.c.status == "pending")
    .values(turns_at=func.now(), turns_to=bindparam("to"))
    .returning(_REQUESTS.c.key)
)


def turn_due(connection: Connection, *, limit: int) -> None:
    """Make the state changes that are due, at most `limit` of them: money moves, and events are
    written."""
    _follow(connection, read(connection, SandboxRequestRow, _TURN_DUE, {"limit": limit}))


def turn_these(connection: Connection, keys: Iterable[str]) -> None:
    """Make the state changes that are due for `keys`."""
    _follow(connection, read(connection, SandboxRequestRow, _TURN_THESE, {"ids": list(keys)}))


def complete(connection: Connection, object_id: str) -> None:
    """The customer did what a pending charge or refund was waiting for: the money moves now."""
    _decide(connection, object_id, "succeeded")


def decline(connection: Connection, object_id: str) -> None:
    """The customer refused what a pending charge or refund was waiting for."""
    _decide(connection, object_id, "declined")


def _decide(connection: Connection, object_id: str, to: Status) -> None:
    keys = [f"{object_id}:charge", f"{object_id}:refund"]
    decided = connection.execute(_DECIDE, {"ids": keys, "to": to}).scalars().all()
    if not decided:
        _refuse(connection, object_id, keys)
    turn_these(connection, decided)


def _refuse(connection: Connection, object_id: str, keys: Sequence[str]) -> None:
    known = select(_REQUESTS.c.status).where(id_among(_REQUESTS.c.key))
    status = connection.execute(known, {"ids": keys}).scalar()
    if status is None or status == "open":
        raise NotFound(f"The sandbox has nothing with the id {object_id}.")
    raise MoveNotAllowed(f"{object_id} waits for nobody at the sandbox: it is {status}.")


def _follow(connection: Connection, turned: Sequence[SandboxRequestRow]) -> None:
    if not turned:
        return
    ledger.move(
        connection,
        [
            # A succeeded row that changes is a refund that the bank sends back.
            ledger.movement(row, "reversal" if row.was == "succeeded" else row.kind)
            for row in turned
            # What was authorized moved when it was captured.
            if row.was == "succeeded" or (row.status == "succeeded" and row.was != "authorized")
        ],
    )
    tell(connection, turned)
