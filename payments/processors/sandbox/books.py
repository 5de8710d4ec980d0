"""The sandbox's books: it executes each request once per key, and knows its state.

`apply` takes a list and writes it in a handful of statements, inside the caller's transaction. The
row of a key is locked from the first statement on, so a second call with the same key waits until
the first is decided, and then gets the same answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Interval, bindparam, cast, delete, func, select
from sqlalchemy import update as update_of
from sqlalchemy.dialects.postgresql import insert

from models.base import as_rows, given, id_among, seconds
from models.rows import SandboxRequestRow
from payments.processors.outcomes import Found, NotFound
from payments.processors.port import Order
from payments.processors.sandbox import ledger, sandbox_cancels, sandbox_captures
from payments.processors.sandbox.aftermath import foresee
from payments.processors.sandbox.sandbox_answers import KEY_REUSED, Answer, outcome_of
from payments.processors.sandbox.sandbox_events import tell
from payments.processors.sandbox.sandbox_refunds import refundables
from payments.processors.sandbox.sandbox_requests import (
    ASKED,
    COLUMNS,
    REQUESTS,
    STANDING,
    TURNS_AFTER_S,
    VALUES,
    Instruction,
    asked_for,
    charge_script,
    plan,
)
from payments.processors.sandbox.transitions import turn_these
from payments.processors.sandbox.verdicts import Verdict, decided, verdict_on
from payments.transaction import read


def carry_out(
    engine: Engine, instructions: Sequence[Instruction], *, memory: timedelta
) -> list[Answer]:
    """Carry out `instructions` in one transaction; see `apply`."""
    with engine.begin() as connection:
        return apply(connection, instructions, memory=memory)


def apply(
    connection: Connection, instructions: Sequence[Instruction], *, memory: timedelta
) -> list[Answer]:
    """Carry out `instructions`; their answers come in the same order.

    `memory` is how long a key is remembered, counted from its first call. After that the key is
    new again and the money moves again, as it would at any processor.
    """
    answers: dict[int, Answer] = {}
    for wave in _waves(instructions):
        executed = _execute(connection, _orders(wave, "execute"), memory)
        found = _look_up(connection, _orders(wave, "look_up"))
        canceled = sandbox_cancels.cancel(connection, _orders(wave, "cancel"))
        for place, instruction in wave.items():
            source = {"execute": executed, "look_up": found, "cancel": canceled}[instruction.verb]
            answers[place] = source[instruction.order.key]
    return [answers[place] for place in range(len(instructions))]


def _waves(instructions: Sequence[Instruction]) -> list[dict[int, Instruction]]:
    """The instructions by their place, split so that no key occurs twice in one wave.

    One statement can't write a row twice, and the repeat of a key must see the result of the first.
    """
    waves: list[dict[int, Instruction]] = []
    uses: dict[str, int] = {}
    for place, instruction in enumerate(instructions):
        nth = uses[instruction.order.key] = uses.get(instruction.order.key, -1) + 1
        if nth == len(waves):
            waves.append({})
        waves[nth][place] = instruction
    return waves


def _orders(wave: Mapping[int, Instruction], verb: str) -> list[Order]:
    return [instruction.order for instruction in wave.values() if instruction.verb == verb]


# --- execute: charges, captures and refunds ---------------------------------------------------

_REMEMBER = (
    insert(REQUESTS)
    # Always in the order of keys, so that two batches may wait for each other but never deadlock.
    .from_select(COLUMNS, select(*VALUES).order_by(ASKED.c.key), include_defaults=False)
    .on_conflict_do_update(index_elements=[REQUESTS.c.key], set_={"calls": REQUESTS.c.calls + 1})
    .returning(
        *REQUESTS.c,
        (
            (REQUESTS.c.calls > 1)
            & (REQUESTS.c.created_at <= func.now() - cast(bindparam("memory"), Interval))
        ).label("forgotten"),
    )
)
_FORGET = delete(REQUESTS).where(id_among(REQUESTS.c.key))

_DECIDED = given("decided", [*(REQUESTS.c[name] for name in ("key", *STANDING)), TURNS_AFTER_S])
_DECIDE = (
    update_of(REQUESTS)
    .where(REQUESTS.c.key == _DECIDED.c.key)
    .values(
        **{name: _DECIDED.c[name] for name in STANDING},
        turns_at=func.now() + seconds(_DECIDED.c.turns_after_s),
    )
)


def _execute(
    connection: Connection, orders: Sequence[Order], memory: timedelta
) -> dict[str, Answer]:
    if not orders:
        return {}
    planned = {order.key: plan(order) for order in orders}
    asked = {order.key: asked_for(order, planned[order.key]) for order in orders}
    rows = _remember(connection, asked, memory)

    answers: dict[str, Answer] = {}
    executed: list[tuple[SandboxRequestRow, Verdict]] = []
    undecided: list[Order] = []
    for order in orders:
        row, key = rows[order.key], order.key
        if row.fingerprint != asked[key]["fingerprint"]:
            answers[key] = Answer(KEY_REUSED)
        elif row.calls == 1 and order.kind == "charge":
            executed.append((row, planned[key]))
        elif row.status == "open" or order.kind == "capture":
            undecided.append(order)
        else:
            answers[key] = Answer(outcome_of(row))

    charges = sandbox_captures.hold_charges(connection, undecided)
    to_capture = [order for order in undecided if order.kind == "capture"]
    answers |= sandbox_captures.capture(connection, to_capture, rows, charges)
    verdicts = _decide(connection, [o for o in undecided if o.kind != "capture"], rows)
    executed += [
        (decided(rows[key], verdict.standing), verdict) for key, verdict in verdicts.items()
    ]
    succeeded = [row for row, _ in executed if row.status == "succeeded"]
    ledger.move(connection, [ledger.movement(row, row.kind) for row in succeeded])
    foresee(connection, [row for row in succeeded if row.kind == "charge"])
    tell(connection, [row for row, verdict in executed if verdict.tells])
    return answers | {row.key: verdict.answer for row, verdict in executed}


def _remember(
    connection: Connection, asked: Mapping[str, Mapping[str, Any]], memory: timedelta
) -> dict[str, SandboxRequestRow]:
    """The rows of the keys, locked: new ones as `asked`, known ones with one more call."""
    parameters = {"asked": as_rows(list(asked.values())), "memory": memory}
    rows = {row.key: row for row in read(connection, SandboxRequestRow, _REMEMBER, parameters)}
    forgotten = {key: asked[key] for key, row in rows.items() if row.forgotten}
    if forgotten:
        connection.execute(_FORGET, {"ids": list(forgotten)})
        rows |= _remember(connection, forgotten, memory)
    return rows


def _decide(
    connection: Connection, orders: Sequence[Order], rows: Mapping[str, SandboxRequestRow]
) -> dict[str, Verdict]:
    """Decide calls whose row was still open: refunds, and charges that were refused before."""
    if not orders:
        return {}
    charges = refundables(connection, [order for order in orders if order.kind == "refund"])
    verdicts = {}
    for order in orders:
        call = rows[order.key].calls
        if order.kind == "charge":
            verdicts[order.key] = verdict_on(charge_script(order), call=call)
        else:
            verdicts[order.key] = charges[order.charge_id].verdict_on(order, call=call)
    written = [{"key": key, **asdict(verdict.standing)} for key, verdict in verdicts.items()]
    connection.execute(_DECIDE, {"decided": as_rows(written)})
    return verdicts


# --- look up ----------------------------------------------------------------------------------

_FIND = select(*REQUESTS.c, (REQUESTS.c.turns_at <= func.now()).label("is_due")).where(
    id_among(REQUESTS.c.key)
)


def _look_up(connection: Connection, orders: Sequence[Order]) -> dict[str, Answer]:
    if not orders:
        return {}
    keys = [order.key for order in orders]
    rows = _find(connection, keys)
    due = [key for key, row in rows.items() if row.is_due]
    if due:
        turn_these(connection, due)
        rows = _find(connection, keys)
    captured = sandbox_captures.look_up(
        connection, [o for o in orders if o.kind == "capture"], rows
    )
    others = [order for order in orders if order.kind != "capture"]
    return captured | {order.key: Answer(_found(order, rows.get(order.key))) for order in others}


def _find(connection: Connection, keys: Sequence[str]) -> dict[str, SandboxRequestRow]:
    return {row.key: row for row in read(connection, SandboxRequestRow, _FIND, {"ids": keys})}


def _found(order: Order, row: SandboxRequestRow | None) -> Found:
    if row is None:
        return NotFound()
    if (row.amount, row.currency) != (order.amount, order.currency):
        return KEY_REUSED
    return outcome_of(row)
