"""What charges and refunds have in common over HTTP: asked for, read, listed, told the story of."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api import answers, request_input
from api.edge.keyring import presented
from api.edge.problems import DatabaseUnavailable, TooManyRequests
from api.list_horizon import horizon
from api.routes.dependencies import Asker, acting, app_state, audit_reason, permission_for
from api.routes.request_bodies import Body
from api.taking import Call
from infra.billing.contract.ids import PREFIXES, is_id, traceparent
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from models.rows import ChargeRow, LifecycleRow, as_charge
from models.states import State
from payments.access.scopes import OPERATOR, Access
from payments.history import timeline
from payments.kinds import KINDS
from payments.lifecycle import cancels, payment_queries
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing import captures
from payments.lifecycle.capturing.captures import NewCapture
from payments.parsing import parse, read
from payments.payment_errors import NotFound, Refused
from payments.views import charge_view
from service.metrics import metric_catalogue

PREFIX = "/v1/billing"
_ACCEPTED = {kind: metric_catalogue.ACCEPTED.labels(kind, "http") for kind in KINDS}


async def create(request: Request, kind: KindName) -> Response:
    """202 with the pending object; 200 for a repeat, and for one that was waited for and is
    final."""
    shown, intake = presented(request), app_state(request).intake
    fields, request_id = await _fields(request), request.state.request_id
    trace = traceparent(request.headers.get("traceparent"))
    why = _why(request) if "audit-reason" in request.headers else None
    call = Call(shown, permission_for(request), fields, request_id, trace, why)
    taken = await intake.take(kind, call)
    if taken.access is not None:
        request.state.producer = taken.access.producer  # for the log line
    if isinstance(taken.answer, Refused):
        raise taken.answer
    row: LifecycleRow = taken.answer.row
    is_new = taken.answer.fresh
    if is_new:
        _ACCEPTED[kind].inc()
    wait_s = request_input.wait_s(request.headers)
    if wait_s and row.state == State.PENDING:
        # It is accepted, and the caller's to see: what goes wrong from now on must not make it
        # sound as if it weren't.
        with suppress(DatabaseUnavailable, TooManyRequests):
            row = await intake.get(kind, row.id, access=OPERATOR, wait_s=wait_s)
    headers = {"location": f"{PREFIX}/{kind}s/{row.id}"}
    if not is_new:
        headers["idempotent-replayed"] = "true"
    is_done = not is_new or row.state != State.PENDING
    return answers.one(KINDS[kind].view(row), status=200 if is_done else 202, headers=headers)


async def _fields(request: Request) -> Mapping[str, Any] | Refused:
    """The fields of the body, with a key among them; or what is wrong with it."""
    try:
        return await request_input.under_key(request)
    except Refused as refused:
        return refused


def _why(request: Request) -> str | Refused | None:
    """Why an operator asks; or what is wrong with how they say it."""
    try:
        return audit_reason(request)
    except Refused as refused:
        return refused


@dataclass(frozen=True, slots=True)
class Cancels(Body):
    """Which charge, as the path says, and why, as the body may say."""

    model: type[CancelRequest] = CancelRequest
    is_required: bool = False

    async def __call__(self, request: Request, _: Asker, id: str) -> CancelRequest:  # noqa: A002  # its name in the URL
        _check("charge", id)
        given = request_input.only(await request_input.fields_if_any(request), "reason")
        return parse(CancelRequest, {**given, "charge_id": id})


@dataclass(frozen=True, slots=True)
class Captures(Body):
    """Which charge, as the path says, and how much of it, as the body may say."""

    model: type[CaptureRequest] = CaptureRequest
    is_required: bool = False

    async def __call__(self, request: Request, access: Asker, id: str) -> CaptureRequest:  # noqa: A002  # likewise
        _check("charge", id)
        given = await request_input.under_key(request, if_any=True)
        given = request_input.only(given, "amount", "final", "idempotency_key")
        return read(CaptureRequest, {**given, "charge_id": id, "producer": access.producer})


async def cancel(request: Request, access: Access, wanted: CancelRequest) -> Response:
    """200 with the canceled charge, or with one that was waited for and is final; 202 while it is
    pending."""
    one = Cancellation(wanted.charge_id, reason=wanted.reason, access=access)
    (row,) = await app_state(request).database.transaction(
        partial(cancels.cancel, asked=[one]), acting=acting(request)
    )
    if isinstance(row, NotFound):
        raise _not_found("charge")
    if isinstance(row, Refused):
        raise row
    row = await _awaited(request, row, access)
    return answers.one(charge_view(row), status=202 if row.state == State.PENDING else 200)


async def capture(request: Request, access: Access, wanted: CaptureRequest) -> Response:
    """202 with the charge that is being captured; 200 for a repeat, and for one that was waited for
    and is final."""
    one = NewCapture(wanted, access, request_id=request.state.request_id)
    here = app_state(request)
    write = partial(captures.accept, asked=[one], limits=here.money_limits)
    (answer,) = await here.database.transaction(write, acting=acting(request))
    if isinstance(answer, NotFound):
        raise _not_found("charge")
    if isinstance(answer, Refused):
        raise answer
    row = await _awaited(request, as_charge(answer.row), access)
    headers = {} if answer.fresh else {"idempotent-replayed": "true"}
    is_done = not answer.fresh or row.state != State.PENDING
    return answers.one(charge_view(row), status=200 if is_done else 202, headers=headers)


async def _awaited(request: Request, row: ChargeRow, access: Access) -> ChargeRow:
    """The charge once it is final, or as it stands after so long as the caller would wait."""
    wait_s = request_input.wait_s(request.headers)
    if wait_s and row.state == State.PENDING:
        # It is written down: what goes wrong from now on must not make it sound as if it weren't.
        with suppress(DatabaseUnavailable, TooManyRequests):
            intake = app_state(request).intake
            return as_charge(await intake.get("charge", row.id, access=access, wait_s=wait_s))
    return row


async def get(request: Request, access: Access, kind: KindName, id_: str) -> Response:
    """The object as it stands; with `Prefer: wait`, as soon as it is final."""
    _check(kind, id_)
    wait_s = request_input.wait_s(request.headers)
    row = await app_state(request).intake.get(kind, id_, access=access, wait_s=wait_s)
    return answers.one(KINDS[kind].view(row))


async def page(
    request: Request,
    access: Access,
    kind: KindName,
    filters: Mapping[str, Any],
    *,
    limit: int,
    cursor: str,
) -> Response:
    """A page, newest first."""
    database = app_state(request).database
    read = partial(
        payment_queries.page,
        kind=KINDS[kind],
        filters=filters,
        limit=limit,
        cursor=cursor or None,
        access=access,
        until=await horizon(database, KINDS[kind].table.name),
    )
    found = await database.read(read)
    views = [KINDS[kind].view(row) for row in found.rows]
    return answers.page(views, next_cursor=found.next_cursor)


async def story(request: Request, access: Access, kind: KindName, id_: str) -> Response:
    """Everything that happened to it, in order."""
    _check(kind, id_)
    here = app_state(request)
    tell = partial(
        timeline.of, kind=KINDS[kind], id_=id_, statements=here.statements, access=access
    )
    entries = await here.database.snapshot(tell)
    return answers.one({"data": [entry.view() for entry in entries]})


def _check(kind: KindName, id_: str) -> None:
    """What is not written as an id is the id of nothing; the database need not be asked."""
    if not is_id(id_, PREFIXES[kind]):
        raise _not_found(kind)


def _not_found(kind: KindName) -> NotFound:
    return NotFound(f"there is no {kind} with this id", param="id")
