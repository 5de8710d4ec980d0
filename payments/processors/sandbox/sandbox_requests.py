"""A request as the memory of keys stores it."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import Column, Float, func

from infra.billing.contract.ids import fingerprint
from models.base import given, seconds, table_of
from models.sandbox import SandboxRequest
from payments.processors.port import Order
from payments.processors.sandbox.sandbox_scripts import Script, script_for
from payments.processors.sandbox.verdicts import OPEN, Verdict, verdict_on


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call as it arrives at the sandbox."""

    verb: Literal["execute", "look_up", "cancel"]
    order: Order


REQUESTS = table_of(SandboxRequest)
STANDING = ("reference", "status", "code", "processor_code", "turns_to", "capture_before")
_ASKED_FOR = (
    "key", "object_id", "kind", "charge_id", "fingerprint", "amount", "currency",
    "payment_method_id", "capture",
)  # fmt: skip
TURNS_AFTER_S = Column("turns_after_s", Float)

# The parameter `asked`: rows made by `asked_for`. COLUMNS and VALUES say how they are inserted.
ASKED = given("asked", [*(REQUESTS.c[name] for name in _ASKED_FOR + STANDING), TURNS_AFTER_S])
COLUMNS = (*_ASKED_FOR, *STANDING, "turns_at")
VALUES = (
    *(ASKED.c[name] for name in _ASKED_FOR + STANDING),
    func.now() + seconds(ASKED.c.turns_after_s),
)


def asked_for(order: Order, planned: Verdict) -> dict[str, Any]:
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
                # Only if they have a value: requests from before these fields existed stay the
                # same.
                **({"capture": order.capture} if order.capture == "manual" else {}),
                **({} if order.final else {"final": order.final}),
            }
        ),
        "amount": order.amount,
        "currency": order.currency,
        "payment_method_id": order.payment_method_id,
        "capture": order.capture,
        **asdict(planned.standing),
    }


def plan(order: Order) -> Verdict:
    """The verdict on the first call. One that depends on a charge needs that to be read first."""
    if order.kind != "charge":
        return OPEN
    return verdict_on(charge_script(order), call=1)


def charge_script(order: Order) -> Script:
    """The script of a charge. One that is to be captured by hand is authorized where another would
    succeed, and the sandbox releases the authorization in the end."""
    script = script_for(order.payment_method_id)
    if order.capture == "automatic" or script.status != "succeeded":
        return script
    for_s = script.authorized_for.total_seconds()
    return replace(script, status="authorized", turns_to="canceled", turns_after_s=for_s)
