"""Cancellations at the sandbox: a waiting charge is ended, and an unknown one is refused for ever.

A key that is not known yet, or whose calls were all refused so far, is closed: its row is
`canceled` from then on, so a call for it that is still on its way moves nothing.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, null, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.ids import random_id
from models.base import as_rows, given, id_among
from models.rows import SandboxRequestRow, changed
from payments.processors.outcomes import REQUIRES_ACTION
from payments.processors.port import Order
from payments.processors.sandbox import ledger
from payments.processors.sandbox.sandbox_answers import (
    KEY_REUSED,
    SERVER_ERROR,
    Answer,
    outcome_of,
)
from payments.processors.sandbox.sandbox_requests import ASKED, COLUMNS, REQUESTS, VALUES, asked_for
from payments.processors.sandbox.sandbox_scripts import CANCELED, Script, script_for
from payments.processors.sandbox.transitions import turn_these
from payments.processors.sandbox.verdicts import OPEN
from payments.transaction import read


def cancel(connection: Connection, orders: Sequence[Order]) -> dict[str, Answer]:
    """Cancel these charges; the answers by their keys. Canceling twice has the effect of canceling
    once."""
    if not orders:
        return {}
    asked = {order.key: asked_for(order, OPEN) for order in orders}
    connection.execute(_KNOW, {"asked": as_rows(list(asked.values()))})
    turn_these(connection, asked)
    # Locked from here on, in the order of keys: no other transaction decides.
    counted = read(connection, SandboxRequestRow, _COUNT, {"ids": sorted(asked)})
    rows = {row.key: row for row in counted}
    answers: dict[str, Answer] = {}
    decided: list[SandboxRequestRow] = []
    paid: list[SandboxRequestRow] = []  # with the amount taken, for their movements
    for order in orders:
        row, script = rows[order.key], script_for(order.payment_method_id).cancels or CANCELED
        to = _ends(row, script)
        if row.fingerprint != asked[order.key]["fingerprint"]:
            answers[order.key] = Answer(KEY_REUSED)
        elif to is None:
            answers[order.key] = Answer(outcome_of(row))
        elif row.cancels <= script.refusals:
            answers[order.key] = Answer(script.refusal)
        else:
            reference = row.reference or random_id("sbx_")
            decided.append(changed(row, reference=reference, **_captured(row, to)))
            if to == "succeeded":
                left = row.amount - row.captured
                paid.append(changed(row, reference=reference, amount=left))
            answers[order.key] = _first_answer(decided[-1], script)
    _decide(connection, decided, paid)
    return answers


def _ends(row: SandboxRequestRow, script: Script) -> str | None:
    """How it ends now; None if it has ended before, or can only end by itself."""
    if row.status == "open":
        return "canceled"
    is_waiting = row.status == "pending" and row.processor_code == REQUIRES_ACTION
    return script.status if is_waiting or row.status == "authorized" else None


def _captured(row: SandboxRequestRow, to: str) -> dict[str, Any]:
    """The state of a charge that ends like this, and its captured amount: everything, if the
    capture was faster; else what was captured before, and the rest is released."""
    captured = row.captured
    if row.capture == "manual" and to == "succeeded":
        captured = row.amount
    return {"status": "succeeded" if captured else to, "captured": captured}


def _first_answer(row: SandboxRequestRow, script: Script) -> Answer:
    """The answer to the call that ended it, which may get lost; later ones give the true state."""
    match script.answer:
        case "silence":
            return Answer(None)
        case "server_error":
            return Answer(SERVER_ERROR)
    return Answer(outcome_of(row), script.delay_s)


def _decide(
    connection: Connection, decided: Sequence[SandboxRequestRow], paid: Sequence[SandboxRequestRow]
) -> None:
    if not decided:
        return
    written = [{name: getattr(row, name) for name in _WRITTEN} for row in decided]
    connection.execute(_DECIDE, {"decided": as_rows(written)})
    ledger.move(connection, [ledger.movement(row, "charge") for row in paid])


# --- The statements, built once ---

_KNOW = (
    insert(REQUESTS)
    .from_select(COLUMNS, select(*VALUES).order_by(ASKED.c.key), include_defaults=False)
    .on_conflict_do_nothing(index_elements=[REQUESTS.c.key])
)
_locked = (
    select(REQUESTS.c.key)
    .where(id_among(REQUESTS.c.key))
    .order_by(REQUESTS.c.key)
    .with_for_update()
    .cte("locked")
)
_COUNT = (
    update(REQUESTS)
    .where(REQUESTS.c.key == _locked.c.key)
    .values(cancels=REQUESTS.c.cancels + 1)
    .returning(*REQUESTS.c)
)
_WRITTEN = ("key", "status", "captured", "reference")
_decided = given("decided", [REQUESTS.c[name] for name in _WRITTEN])
_DECIDE = (
    update(REQUESTS)
    .where(REQUESTS.c.key == _decided.c.key)
    .values(
        status=_decided.c.status,
        captured=_decided.c.captured,
        reference=_decided.c.reference,
        processor_code=null(),
        turns_at=null(),
        turns_to=null(),
    )
)
