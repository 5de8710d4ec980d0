"""A request as it is written into the memory of keys."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Column, Float, func

from infra.billing.contract.ids import fingerprint
from models.base import given, seconds, table_of
from models.sandbox import SandboxRequest
from payments.processors.port import Order
from payments.processors.sandbox.answers import Standing
from payments.processors.sandbox.script import script_for
from payments.processors.sandbox.verdicts import OPEN, Verdict, verdict_on


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call as it arrives at the sandbox."""

    verb: Literal["execute", "look_up", "cancel"]
    order: Order


REQUESTS = table_of(SandboxRequest)
STANDING = ("reference", "status", "code", "processor_code", "turns_to")
_ASKED_FOR = (
    "key", "object_id", "kind", "charge_id", "fingerprint", "amount", "currency",
    "payment_method_id",
)  # fmt: skip
TURNS_AFTER_S = Column("turns_after_s", Float)

# The parameter `asked`: rows made by `asked_for`. COLUMNS and VALUES say how they are inserted.
ASKED = given("asked", [*(REQUESTS.c[name] for name in _ASKED_FOR + STANDING), TURNS_AFTER_S])
COLUMNS = (*_ASKED_FOR, *STANDING, "turns_at")
VALUES = (
    *(ASKED.c[name] for name in _ASKED_FOR + STANDING),
    func.now() + seconds(ASKED.c.turns_after_s),
)


def asked_for(order: Order, planned: Verdict) -> Standing:
    """The row of a request that comes for the first time."""
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


def plan(order: Order) -> Verdict:
    """What the first call comes to. A refund hangs on its charge, which must be read first."""
    if order.kind == "refund":
        return OPEN
    return verdict_on(script_for(order.payment_method_id), call=1)
