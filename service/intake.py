"""Requests of either kind, taken from fields to rows: what doors without a message do."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from infra.billing.contract.ids import Kind
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests import reading
from infra.billing.contract.requests.by_kind import MODELS, Request
from payments.errors import Refused
from payments.lifecycle.accepting import asked, charges, refunds
from payments.lifecycle.accepting.asked import Accepted, New, NewCharge, NewRefund
from payments.parsing import refusal_of
from payments.processors.registry import Processors
from payments.transaction import Transaction

Answer: TypeAlias = Accepted | Refused


def request(kind: Kind, fields: Mapping[str, Any]) -> Request:
    """The request that the fields make, to be judged when it turns out to be new. Raises
    InvalidRequest for what is no request on any day."""
    try:
        return reading.read(MODELS[kind], fields)
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def new(request: Request, processors: Processors, **said: Any) -> New:
    """A request for `accept`; `said` as in `asked.new`. No message is on its way, as far as a door
    without messages knows: a charge that is not there is nobody's, unless the caller says that it
    may come."""
    return asked.new(request, processors, if_missing="reject", **said)


def accept(transaction: Transaction, news: Sequence[New], processors: Processors) -> list[Answer]:
    """Write requests that are all of one kind; answers each in its place."""
    limits = processors.limits
    some = [one for one in news if isinstance(one, NewCharge)]
    if some:
        return charges.accept(transaction, some, limits=limits)
    back = [one for one in news if isinstance(one, NewRefund)]
    return refunds.accept(transaction, back, limits=limits) if back else []
