"""The command line's door: a request is accepted as at every other door, and a worker woken."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli import database_access, output, tables

if TYPE_CHECKING:
    from infra.billing.contract.ids import Kind as KindName
    from models.rows import LifecycleRow


def create(
    kind: "KindName", fields: Mapping[str, Any], *, wait_s: float | None, as_json: bool
) -> None:
    """Accept a charge or a refund and show it; with `wait_s`, show it once it is final.

    Raises Refused. When it was waited for, a failed one, and one that is still pending, is shown
    and then raised as Failed.
    """
    from payments.kinds import KINDS

    row = accept(kind, fields)
    if wait_s is not None:
        row = database_access.wait_until_at_rest(KINDS[kind], row.id, wait_s=wait_s)
    tables.show(KINDS[kind].view(row), as_json=as_json)
    if wait_s is not None and row.state == "failed":
        raise output.Failed(row.failure_message or "it failed", code=row.failure_code or "failed")
    _require_final(row, wait_s)


@contextmanager
def listed(kind: "KindName", filters: Mapping[str, Any]) -> "Iterator[Iterator[Mapping[str, Any]]]":
    """All charges or refunds that the filters leave, newest first, as they are shown."""
    from payments.history import settled
    from payments.kinds import KINDS
    from payments.lifecycle import payment_queries

    of = KINDS[kind]
    with database_access.reading() as connection:
        until = settled.horizon(connection, of.table.name)
        yield map(of.view, payment_queries.every(connection, of, filters=filters, until=until))


def capture(fields: Mapping[str, Any], *, wait_s: float | None, as_json: bool) -> None:
    """Ask for money of a charge that is authorized, and show it as it stands; with `wait_s`, once
    it is final.

    Raises Refused. When it was waited for, one that is still pending is shown and then raised as
    Failed.
    """
    from infra.billing.contract.requests.capture_request import CaptureRequest
    from models.rows import as_charge
    from payments.kinds import CHARGE
    from payments.lifecycle.capturing import captures
    from payments.lifecycle.capturing.captures import NewCapture
    from payments.parsing import read
    from payments.payment_errors import Refused
    from service.settings import load
    from service.wiring import processors

    one = NewCapture(read(CaptureRequest, fields))
    limits = processors(load()).limits
    with database_access.writing() as transaction:
        (answer,) = captures.accept(transaction, [one], limits=limits)
    if isinstance(answer, Refused):
        raise answer
    row = as_charge(answer.row)
    if wait_s is not None:
        row = database_access.wait_until_at_rest(CHARGE, row.id, wait_s=wait_s)
    tables.show(CHARGE.view(row), as_json=as_json)
    _require_final(row, wait_s)


def cancel(charge_id: str, *, why: str | None, wait_s: float | None, as_json: bool) -> None:
    """Ask for the end of a charge and show it as it stands; with `wait_s`, once it is final.

    Raises Refused. When it was waited for, one that took the money after all, and one that is still
    pending, is shown and then raised as Failed.
    """
    from infra.billing.contract.requests.cancel_request import CancelRequest
    from payments.kinds import CHARGE
    from payments.lifecycle import cancels
    from payments.lifecycle.cancels import Cancellation
    from payments.parsing import parse
    from payments.payment_errors import Refused

    wanted = parse(
        CancelRequest, {"charge_id": charge_id, **({} if why is None else {"reason": why})}
    )
    with database_access.writing() as transaction:
        one = Cancellation(wanted.charge_id, reason=wanted.reason)
        (row,) = cancels.cancel(transaction, [one])
    if isinstance(row, Refused):
        raise row
    if wait_s is not None:
        row = database_access.wait_until_at_rest(CHARGE, charge_id, wait_s=wait_s)
    tables.show(CHARGE.view(row), as_json=as_json)
    if wait_s is not None and row.state == "succeeded":
        raise output.Failed("money had moved meanwhile; refund it instead", code="succeeded")
    _require_final(row, wait_s)


def _require_final(row: "LifecycleRow", wait_s: float | None) -> None:
    """Raises Failed when it was waited for and is not final."""
    if wait_s is not None and row.phase == "needs_review":
        said = "it needs review: look at the processor, then `billing resolve`"
        raise output.Failed(said, code="needs_review")
    if wait_s is not None and row.phase == "awaiting_approval":
        said = "somebody else must approve it first: `billing approval list`"
        raise output.Failed(said, code="awaiting_approval")
    if wait_s is not None and row.state == "pending":
        if row.phase == "authorized" and getattr(row, "cancel_requested_at", None) is None:
            output.note("the money is set aside, until `billing charge capture` takes it")
            return
        raise output.Failed(f"still pending after {wait_s:g} s", code="still_pending")


def accept(kind: "KindName", fields: Mapping[str, Any]) -> "LifecycleRow":
    """The row of a charge or a refund, accepted now or by an earlier request under the same key.
    Raises Refused."""
    from payments.payment_errors import Refused
    from service import intake
    from service.settings import load
    from service.wiring import processors

    # The operator may use any producer's name, and refund any charge.
    named = processors(load())
    asked = intake.new(intake.request(kind, fields), named, any_charge=True)
    with database_access.writing() as transaction:
        (answer,) = intake.accept(transaction, [asked], named)
    if isinstance(answer, Refused):
        raise answer
    return answer.row
