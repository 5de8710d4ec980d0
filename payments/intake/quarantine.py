"""Quarantined messages: a person looks at them, then releases them for another try or dismisses
them."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Text, cast, func, select, update

from infra.billing.contract.card_data import DIGITS_MIN, holds_card_data, is_called_a_code
from infra.billing.contract.requests.by_kind import TASKS
from models import QuarantinedMessage
from models.base import table_of
from models.rows import QuarantinedRow
from payments.access import audit_log
from payments.intake.masking import RAW_MAX, Masked, masked_text, without_card_data
from payments.payment_errors import InvalidRequest, MoveNotAllowed, NotFound
from payments.redaction import redacted
from payments.transaction import Transaction, first, read
from payments.views import moment

PAGE = 100
# Only a request that failed by a bug of this service, or that the broker gave up
# (worker/task_handlers.py), can be tried again.
OF_A_BUG: Final = "internal error "
GIVEN_UP: Final = "given up by the broker after too many deliveries"
# Headers that are released with it.
_HEADERS_KEPT = ("eta", "expires", "traceparent")

# Headers that say what kind of message it is, not what it is about. Any sender may write anything
# into them, so a value is shown only if it has the right form.
_HEADERS = ("lang", "task", "id", "root_id", "parent_id", "protocol", "retries", "eta", "expires")
_PLAIN = re.compile(r"[A-Za-z0-9_.:+-]{1,100}")
_CARD_LIKE = re.compile(r"[0-9]{13}|^[0-9.:+-]{13,}$")

_messages = table_of(QuarantinedMessage)
_WITHOUT_CONTENTS = [c for c in _messages.c if c.name not in ("raw", "headers")]
_is_unseen = _messages.c.masked.is_(None)
# Whether `mask` has anything to do.
ANY_UNSEEN = select(_messages.c.id).where(_is_unseen).exists()
# Searching a megabyte takes seconds, so a sweep masks one per transaction. Headers are read as
# text: a sender may put numbers of any length there, and the sweep's JSON reader may not accept
# them (`service.wiring.services`).
_UNSEEN = (
    select(*_WITHOUT_CONTENTS, _messages.c.raw, cast(_messages.c.headers, Text).label("headers"))
    .where(_is_unseen)
    .order_by(_messages.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A valid request that could not be carried out, through no fault of its own."""

    task: str
    id: str
    kwargs: Mapping[str, Any]
    # The headers `eta`, `expires` and `traceparent`, if its message had them.
    headers: Mapping[str, str] = field(default_factory=dict)

    def written(self) -> bytes:
        """As it is kept."""
        kept = {"task": self.task, "id": self.id, "kwargs": self.kwargs, **self.headers}
        # Without spaces, so that none is too long to be kept whole.
        return json.dumps(kept, separators=(",", ":")).encode()


def every(connection: Connection) -> Iterator[QuarantinedRow]:
    """All messages without their contents, newest first; a page of them in memory."""
    newest_first = select(*_WITHOUT_CONTENTS).order_by(_messages.c.id.desc()).limit(PAGE)
    statement = newest_first
    while rows := read(connection, QuarantinedRow, statement):
        yield from rows
        statement = newest_first.where(_messages.c.id < rows[-1].id)


def get(connection: Connection, id_: int) -> QuarantinedRow:
    """A message with its contents. Raises NotFound."""
    found = first(connection, QuarantinedRow, select(_messages).where(_messages.c.id == id_))
    if found is None:
        raise NotFound("there is no message in quarantine with this id", param="id")
    return found


def release(transaction: Transaction, id_: int) -> KeptRequest:
    """Mark a message as released; returns what to send. Raises NotFound, MoveNotAllowed."""
    row = _held(transaction, id_)
    if _without_card_data(row).is_changed or row.masked:
        raise MoveNotAllowed(
            "card data was masked in it, so it is not what its sender asked for: let them send it"
            " without card data, and dismiss it",
            param="id",
        )
    request = request_in(row.raw, row.headers, reason=row.reason)
    if request is None:
        raise MoveNotAllowed(
            "it is not a request that can be tried again, only looked at: let its sender mend it,"
            " and dismiss it",
            param="id",
        )
    _let_go(transaction, id_)
    audit_log.record(transaction, "message.release", str(id_), after={"task": request.task})
    return request


def dismiss(transaction: Transaction, id_: int) -> None:
    """Close a message for good. Raises NotFound, MoveNotAllowed, InvalidRequest."""
    why = audit_log.acting_in(transaction).reason
    if not why.isprintable():
        raise InvalidRequest("say why, in one line; it stays with the message", param="why")
    _held(transaction, id_)
    _let_go(transaction, id_, dismissed_why=why)
    audit_log.record(transaction, "message.dismiss", str(id_))


def mask(transaction: Transaction) -> int:
    """Mask card data in what older versions kept; returns how many messages were checked."""
    rows = transaction.execute(_UNSEEN).all()
    for row in rows:
        headers = None if row.headers is None else json.loads(row.headers)
        without = as_kept(row.raw, headers, reason=row.reason)
        changes = {
            "raw": without.raw,
            "headers": without.headers,
            "queue": masked_text(row.queue),
            "reason": masked_text(row.reason),
            "sha256": without.sha256,
        }
        transaction.execute(
            update(_messages)
            .where(_messages.c.id == row.id)
            .values(masked=without.is_changed, **(changes if without.is_changed else {}))
        )
    return len(rows)


def contents(row: QuarantinedRow) -> bytes:
    """The message as it may be shown."""
    return _without_card_data(row).raw


def request_in(raw: bytes, headers: Mapping[str, Any] | None, *, reason: str) -> KeptRequest | None:
    """The request in a message, if it is one."""
    if headers is not None or not reason.startswith((OF_A_BUG, GIVEN_UP)):
        return None
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    match message:
        case {"task": str(task), "id": str(id_), "kwargs": dict(kwargs), **rest}:
            kept = {str(name): str(it) for name, it in rest.items() if name in _HEADERS_KEPT}
            if task in TASKS and kept == rest:
                return KeptRequest(task, id_, kwargs, kept)
    return None


def view(row: QuarantinedRow) -> dict[str, Any]:
    """A message as it is shown in a list, without its contents."""
    return {
        "id": row.id,
        "created_at": moment(row.created_at),
        "state": _state(row),
        "queue": masked_text(row.queue),
        "reason": masked_text(row.reason),
        "size": row.size,
        "sha256": row.sha256,
        "masked": row.masked,
        "released_at": moment(row.released_at),
        "dismissed_why": row.dismissed_why,
    }


def details(row: QuarantinedRow) -> dict[str, Any]:
    """A single message, with its harmless headers, or those fields of its request."""
    request = request_in(row.raw, row.headers, reason=row.reason)
    return {
        **view(row),
        "headers": _harmless(row.headers) if row.headers else None,
        "request": request
        and {"task": request.task, "id": _plain(request.id), "fields": redacted(request.kwargs)},
    }


def _state(row: QuarantinedRow) -> str:
    if row.released_at is None:
        return "kept"
    return "released" if row.dismissed_why is None else "dismissed"


def _harmless(headers: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: _plain(headers[name]) for name in _HEADERS if headers.get(name) is not None}
    hidden = len([value for name, value in headers.items() if name not in _HEADERS])
    return {**shown, **({"hidden": hidden} if hidden else {})}


def as_kept(raw: bytes, headers: Mapping[str, Any] | None, *, reason: str) -> Masked:
    """A message as it may be kept. If it is no request, everything that looks like card data is
    masked; a request that the doors accept is kept unchanged, since it could not be released
    otherwise."""
    request = request_in(raw, headers, reason=reason)
    if request is None or len(raw) > RAW_MAX or not _is_taken(request):
        return without_card_data(raw, headers)
    return Masked(raw, None, is_changed=False, sha256=hashlib.sha256(raw).hexdigest())


def _is_taken(request: KeptRequest) -> bool:
    """Whether the doors' check for card data accepts all of its texts and names."""
    return not holds_card_data(request.id) and _is_clean(request.kwargs)


def _is_clean(value: object) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return len(str(abs(value))) < DIGITS_MIN
        case str():
            return not holds_card_data(value)
        case dict():
            return all(
                _is_clean(name)
                and _is_clean(inside)
                and not (isinstance(inside, str) and is_called_a_code(name, inside))
                for name, inside in value.items()
            )
    return False


def _without_card_data(row: QuarantinedRow) -> Masked:
    return as_kept(row.raw, row.headers, reason=row.reason)


def _plain(value: Any) -> str:
    text = str(value) if isinstance(value, (str, int)) else ""
    harmless = _PLAIN.fullmatch(text) and not _CARD_LIKE.search(text)
    return text if harmless else f"<{type(value).__name__}>"


def _held(transaction: Transaction, id_: int) -> QuarantinedRow:
    """The row, locked, if it has not been released or dismissed yet."""
    statement = select(_messages).where(_messages.c.id == id_).with_for_update()
    found = first(transaction.connection, QuarantinedRow, statement)
    if found is None:
        raise NotFound("there is no message in quarantine with this id", param="id")
    if found.released_at is not None:
        raise MoveNotAllowed(f"it is {_state(found)} already", param="id")
    return found


def _let_go(transaction: Transaction, id_: int, **why: str) -> None:
    transaction.execute(
        update(_messages).where(_messages.c.id == id_).values(released_at=func.now(), **why)
    )
