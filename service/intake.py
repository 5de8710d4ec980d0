"""Requests of either kind, taken from fields to rows: what doors without a message do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from infra.billing.contract.ids import Kind
from payments.errors import Refused
from payments.intake.requests import ChargeRequest, RefundRequest
from payments.lifecycle.accepting import charges, refunds
from payments.parsing import read
from payments.processors.registry import Processors
from payments.transaction import Transaction

Request: TypeAlias = ChargeRequest | RefundRequest
Accepted: TypeAlias = charges.Accepted | refunds.Accepted
Answer: TypeAlias = Accepted | Refused

MODELS: Mapping[Kind, type[ChargeRequest] | type[RefundRequest]] = {
    "charge": ChargeRequest,
    "refund": RefundRequest,
}


def request(kind: Kind, fields: Mapping[str, Any]) -> Request:
    """The request that the fields make, to be judged when it turns out to be new. Raises
    InvalidRequest for what is no request on any day."""
    return read(MODELS[kind], fields)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, the id and the trace of the HTTP request that asks for it, and whether who asks
    may refund any producer's charge."""

    request: Request
    request_id: str | None = None
    any_charge: bool = False
    traceparent: str | None = None


def accept(
    transaction: Transaction, asked: Sequence[Asked], processors: Processors
) -> list[Answer]:
    """Write requests that are all of one kind; answers each in its place. New charges go to the
    default of `processors`."""
    name, livemode = processors.default, processors[processors.default].livemode
    new = [
        charges.NewCharge(
            one.request,
            name,
            request_id=one.request_id,
            livemode=livemode,
            traceparent=one.traceparent,
        )
        for one in asked
        if isinstance(one.request, ChargeRequest)
    ]
    if new:
        return [*charges.accept(transaction, new, limits=processors.limits)]
    # No message is on its way, as far as a door without messages knows: a charge that is not there
    # is nobody's, unless the caller says that it may come.
    back = [
        refunds.NewRefund(
            one.request,
            name,
            one.request_id,
            any_charge=one.any_charge,
            if_missing="reject",
            traceparent=one.traceparent,
        )
        for one in asked
        if isinstance(one.request, RefundRequest)
    ]
    return [*refunds.accept(transaction, back, limits=processors.limits)]
