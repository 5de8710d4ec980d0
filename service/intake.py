"""From fields to rows, for requests that come without a message, at doors other than the broker."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from infra.billing.contract.ids import Kind
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.requests import request_parser
from infra.billing.contract.requests.by_kind import MODELS, Request
from models.rows import LifecycleRow
from payments.access import audit_log
from payments.access.audit_log import Action
from payments.acting import Acting
from payments.lifecycle.accepting import asked, charges, refunds
from payments.lifecycle.accepting.asked import Accepted, New, NewCharge, NewRefund
from payments.parsing import refusal_of
from payments.payment_errors import Refused
from payments.processors.registry import Processors
from payments.transaction import Transaction
from payments.views import standing

Answer: TypeAlias = Accepted | Refused


def request(kind: Kind, fields: Mapping[str, Any]) -> Request:
    """The request from the fields, with rules to be checked if it is new. Raises InvalidRequest for
    fields that never make a request."""
    try:
        return request_parser.read(MODELS[kind], fields)
    except Invalid as wrong:
        raise refusal_of(wrong) from None


def new(request: Request, processors: Processors, **said: Any) -> New:
    """A request for `accept`; `said` as in `asked.new`. No message is expected at such a door: a
    missing charge counts as not found, unless the caller says that it may come."""
    return asked.new(request, processors, if_missing="reject", **said)


def accept(transaction: Transaction, news: Sequence[New], processors: Processors) -> list[Answer]:
    """Write requests of one kind; returns an answer for each in its place.

    A producer's request is recorded with its HTTP request. A person's request is also an action in
    the audit log.
    """
    limits = processors.limits
    some = [one for one in news if isinstance(one, NewCharge)]
    answers: list[Answer] = []
    if some:
        answers = charges.accept(transaction, some, limits=limits)
    elif back := [one for one in news if isinstance(one, NewRefund)]:
        approvals = processors.approvals
        answers = refunds.accept(transaction, back, limits=limits, approvals=approvals)
    if (acting := transaction.acting) is not None and acting.kind == "person":
        record(transaction, "charge" if some else "refund", [(acting, one) for one in answers])
    return answers


def record(transaction: Transaction, kind: Kind, answers: Sequence[tuple[Acting, Answer]]) -> None:
    """An action for each new one, by its actor."""
    actions = [
        Action(f"{kind}.create", one.row.id, after=_asked_for(one.row), acting=acting)
        for acting, one in answers
        if isinstance(one, Accepted) and one.fresh
    ]
    audit_log.record_all(transaction, actions)


def _asked_for(row: LifecycleRow) -> dict[str, Any]:
    amount = row.amount  # type: ignore[attr-defined]  # both have one
    return {**standing(row), "amount": amount, "currency": row.currency}
