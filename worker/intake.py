"""Requests of either kind, taken from fields to rows: what doors without a message do."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from models.ids import Kind
from payments import charges, refunds
from payments.errors import Refused
from payments.parsing import read
from payments.requests import ChargeRequest, RefundRequest
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


def accept(
    transaction: Transaction,
    asked: Sequence[Request],
    processor: str,
    *,
    request_ids: Sequence[str | None] | None = None,
) -> list[Answer]:
    """Write requests that are all of one kind; answers each in its place.

    `request_ids` are the ids of the HTTP requests that ask for them, in the same order.
    """
    named = list(zip(asked, request_ids or [None] * len(asked), strict=True))
    new = [
        charges.NewCharge(r, processor, request_id=id_)
        for r, id_ in named
        if isinstance(r, ChargeRequest)
    ]
    if new:
        return [*charges.accept(transaction, new)]
    back = [
        refunds.NewRefund(r, processor, request_id=id_)
        for r, id_ in named
        if isinstance(r, RefundRequest)
    ]
    return [*refunds.accept(transaction, back)]
