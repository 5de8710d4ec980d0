"""The sandbox's books: it executes what it is asked once per key, and knows where it stands.

`apply` takes a list and writes it in a handful of statements, inside a transaction of the caller.
The row of a key is locked from the first statement on, so a second call with the same key waits
until the first is decided, and then hears the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import Column, Connection, Float, Interval, bindparam, cast, delete, func, select
from sqlalchemy import update as update_of
from sqlalchemy.dialects.postgresql import insert

from models.base import as_rows, given, id_among, seconds, table_of
from models.ids import fingerprint
from models.sandbox import SandboxRequest
from payments.outcomes import Found, NotFound
from payments.processors.port import Order
from payments.processors.sandbox import ledger
from payments.processors.sandbox.answers import KEY_REUSED, Answer, Standing, outcome_of
from payments.processors.sandbox.events import tell
from payments.processors.sandbox.refunds import refundables
from payments.processors.sandbox.script import script_for
from payments.processors.sandbox.turns import turn_these
from payments.processors.sandbox.verdicts import OPEN, Verdict, verdict_on


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call as it arrives at the sandbox."""

    verb: Literal["execute", "look_up"]
    order: Order


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
        for place, instruction in wave.items():
            source = executed if instruction.verb == "execute" else found
            answers[place] = source[instruction.order.key]
    return [answers[place] for place in range(len(instructions))]


def _waves(instructions: Sequence[Instruction]) -> list[dict[int, Instruction]]:
    """The instructions by their place, cut so that no key occurs twice in one wave.

    One statement can't write a row twice, and the repeat of a key is to see what came of the first.
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


# --- execute: charges and refunds -------------------------------------------------------------

_REQUESTS = table_of(SandboxRequest)
_TURNS_AFTER_S = Column("turns_after_s", Float)
_REQUEST = (
    "key", "object_id", "kind", "charge_id", "fingerprint", "amount", "currency",
    "payment_method_id",
)  # fmt: skip
_STANDING = ("reference", "status", "code", "processor_code", "turns_to")

_ASKED = given("asked", [*(_REQUESTS.c[name] for name in _REQUEST + _STANDING), _TURNS_AFTER_S])
_REMEMBER = (
    insert(_REQUESTS)
    .from_select(
        [*_REQUEST, *_STANDING, "turns_at"],
        select(
            *(_ASKED.c[name] for name in _REQUEST + _STANDING),
            func.now() + seconds(_ASKED.c.turns_after_s),
        )
        # Always in the order of keys, so that two batches may wait for each other, but not in
        # a circle.
        .order_by(_ASKED.c.key),
        include_defaults=False,
    )
    .on_conflict_do_update(index_elements=[_REQUESTS.c.key], set_={"calls": _REQUESTS.c.calls + 1})
    .returning(
        *_REQUESTS.c,
        (
            (_REQUESTS.c.calls > 1)
            & (_REQUESTS.c.created_at <= func.now() - cast(bindparam("memory"), Interval))
        ).label("forgotten"),
    )
)
_FORGET = delete(_REQUESTS).where(id_among(_REQUESTS.c.key))

_DECIDED = given("decided", [*(_REQUESTS.c[name] for name in ("key", *_STANDING)), _TURNS_AFTER_S])
_DECIDE = (
    update_of(_REQUESTS)
    .where(_REQUESTS.c.key == _DECIDED.c.key)
    .values(
        **{name: _DECIDED.c[name] for name in _STANDING},
        turns_at=func.now() + seconds(_DECIDED.c.turns_after_s),
    )
)


def _execute(
    connection: Connection, orders: Sequence[Order], memory: timedelta
) -> dict[str, Answer]:
    if not orders:
        return {}
    # Most calls are the first of their charge. Their rows are written with the verdict in them,
    # so that a batch of them is two statements.
    planned = {order.key: _plan(order) for order in orders}
    asked = {order.key: _asked(order, planned[order.key]) for order in orders}
    rows = _remember(connection, asked, memory)

    answers: dict[str, Answer] = {}
    executed: list[tuple[Standing, Verdict]] = []
    undecided: list[Order] = []
    for order in orders:
        row, key = rows[order.key], order.key
        if row["fingerprint"] != asked[key]["fingerprint"]:
            answers[key] = Answer(KEY_REUSED)
        elif row["calls"] == 1 and order.kind == "charge":
            executed.append((row, planned[key]))
        elif row["status"] == "open":
            undecided.append(order)
        else:
            answers[key] = Answer(outcome_of(row))

    verdicts = _decide(connection, undecided, rows)
    executed += [({**rows[key], **verdict.standing}, verdict) for key, verdict in verdicts.items()]
    succeeded = [row for row, _ in executed if row["status"] == "succeeded"]
    ledger.move(connection, [ledger.movement(row, row["kind"]) for row in succeeded])
    tell(connection, [row for row, verdict in executed if verdict.tells])
    return answers | {row["key"]: verdict.answer for row, verdict in executed}


def _plan(order: Order) -> Verdict:
    """What the first call comes to. A refund hangs on its charge, which must be read first."""
    return (
        verdict_on(script_for(order.payment_method_id), call=1) if order.kind == "charge" else OPEN
    )


def _asked(order: Order, planned: Verdict) -> Standing:
    return {
        "key": order.key,
        "object_id": order.id,
        "kind": order.kind,
        "charge_id": order.charge_id or order.id,
        "fingerprint": fingerprint(
            {
                "amount": order.amount,
                "currency": order.currency,
                "customer_id": order.customer_id,
                "payment_method_id": order.payment_method_id,
                "charge_id": order.charge_id,
            }
        ),
        "amount": order.amount,
        "currency": order.currency,
        "payment_method_id": order.payment_method_id,
        **planned.standing,
    }


def _remember(
    connection: Connection, asked: Mapping[str, Standing], memory: timedelta
) -> dict[str, Standing]:
    """The rows of the keys, locked: the new ones as `asked`, the known ones with one more call."""
    parameters = {"asked": as_rows(list(asked.values())), "memory": memory}
    known = connection.execute(_REMEMBER, parameters).mappings()
    rows: dict[str, Standing] = {row["key"]: row for row in known}
    forgotten = {key: asked[key] for key, row in rows.items() if row["forgotten"]}
    if forgotten:
        connection.execute(_FORGET, {"ids": list(forgotten)})
        rows |= _remember(connection, forgotten, memory)
    return rows


def _decide(
    connection: Connection, orders: Sequence[Order], rows: Mapping[str, Standing]
) -> dict[str, Verdict]:
    """Decide calls whose row was still open: refunds, and charges that were refused before."""
    if not orders:
        return {}
    charges = refundables(connection, [order for order in orders if order.kind == "refund"])
    verdicts = {}
    for order in orders:
        call = rows[order.key]["calls"]
        if order.kind == "charge":
            verdicts[order.key] = verdict_on(script_for(order.payment_method_id), call=call)
        else:
            verdicts[order.key] = charges[order.charge_id].verdict_on(order, call=call)
    decided = [{"key": key, **verdict.standing} for key, verdict in verdicts.items()]
    connection.execute(_DECIDE, {"decided": as_rows(decided)})
    return verdicts


# --- look up ----------------------------------------------------------------------------------

_FIND = select(*_REQUESTS.c, (_REQUESTS.c.turns_at <= func.now()).label("is_due")).where(
    id_among(_REQUESTS.c.key)
)


def _look_up(connection: Connection, orders: Sequence[Order]) -> dict[str, Answer]:
    if not orders:
        return {}
    keys = [order.key for order in orders]
    rows = _find(connection, keys)
    due = [key for key, row in rows.items() if row["is_due"]]
    if due:
        turn_these(connection, due)
        rows = _find(connection, keys)
    return {order.key: Answer(_found(order, rows.get(order.key))) for order in orders}


def _find(connection: Connection, keys: Sequence[str]) -> dict[str, Standing]:
    return {row["key"]: row for row in connection.execute(_FIND, {"ids": keys}).mappings()}


def _found(order: Order, row: Standing | None) -> Found:
    if row is None:
        return NotFound()
    if (row["amount"], row["currency"]) != (order.amount, order.currency):
        return KEY_REUSED
    return outcome_of(row)
