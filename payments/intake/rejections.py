"""Requests that were refused at the broker's door, kept where a person finds them.

Over HTTP the refusal is the answer; a message has no answer, so the refusal becomes a row and a
`request.rejected` webhook.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, String, bindparam, cast, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as insert_unless_there

from infra.billing.contract.ids import (
    PREFIXES,
    Kind,
    event_id,
    id_from_key,
    is_id,
    random_id,
    rejection_id,
)
from infra.billing.contract.requests.by_kind import TASKS
from infra.billing.contract.requests.request_fields import Keyed
from models import Event, QuarantinedMessage, RejectedRequest
from models.base import table_of
from models.rows import columns_of
from payments.intake import masking
from payments.intake.quarantine import as_kept
from payments.payment_errors import Refused, refusal
from payments.redaction import producer_name, redacted, told_key
from payments.transaction import Transaction, read
from payments.views import moment
from payments.webhooks.outbox import Fact, publish

SEEN = ("id", "created_at", "task", "task_id", "producer", "object_id", "code", "param", "detail")
HEADERS_DEPTH_MAX = 16
SIZE_MAX = (1 << 31) - 1  # bytes; the largest integer in PostgreSQL

# The tasks that create something under a key.
CREATES: Mapping[str, Kind] = {f"billing.{kind}.create": kind for kind in PREFIXES}
# Those that are done once per key.
KEYED = frozenset(task for task, model in TASKS.items() if issubclass(model, Keyed))

# A message with a request: the id of the object, the request's fingerprint, and its own id.
Message = tuple[str, str, str]
_rejected = table_of(RejectedRequest)
_INSERT = insert_unless_there(_rejected).on_conflict_do_nothing().returning(func.now())
_events = table_of(Event)
_TOLD = select(_events.c.id).where(_events.c.id == bindparam("event_id"))
_OF_MESSAGES = (
    select(
        *(
            _rejected.c[name]
            for name in ("object_id", "fingerprint", "task_id", "code", "detail", "param")
        )
    )
    .where(
        _rejected.c.fingerprint == func.any(bindparam("fingerprints", type_=ARRAY(String))),
        _rejected.c.object_id == func.any(bindparam("ids", type_=ARRAY(String))),
        _rejected.c.task_id == func.any(bindparam("task_ids", type_=ARRAY(String))),
    )
    .order_by(_rejected.c.created_at.desc(), _rejected.c.id)
)


def record(
    transaction: Transaction,
    task: str,
    *,
    refused: Refused,
    fields: Mapping[str, Any],
    task_id: str | None,
    fingerprint: str | None = None,
) -> str:
    """Keep a refused request and publish the refusal; returns its id (`rej_…`).

    A message that is delivered twice is refused twice, but kept and published once: the id is
    derived from the message's. `task` is what was called; `fingerprint` is that of the request, if
    its fields are complete enough for one.
    """
    fields = {name: value for name, value in fields.items() if value is not None}
    producer, key = fields.get("producer", "default"), told_key(fields.get("idempotency_key"))
    kind = CREATES.get(task)
    # Each on its own: a bad key must not hide whose request it was.
    producer = producer if isinstance(producer, str) and _storable(producer) else None
    key = key if task in KEYED and key is not None and _storable(key) else None
    name = producer_name(producer)
    row = {
        "id": (
            rejection_id(task_id, refused.code, str(refused), fingerprint)
            if task_id
            else random_id("rej_")
        ),
        "task": task,
        "task_id": task_id,
        "producer": name,
        "idempotency_key": key or None,
        "object_id": _object_id(kind, producer, key, fields),
        "code": refused.code,
        "param": refused.param,
        "detail": _stored(str(refused)),
        "request": redacted(fields),
    }
    at = transaction.execute(_INSERT, {**row, "fingerprint": fingerprint}).scalar()
    if at is None or _was_told(transaction, str(row["id"])):
        return str(row["id"])
    data = {"object": "rejected_request", **row, "facts": refused.facts}
    publish(transaction, [Fact("request.rejected", str(row["id"]), 1, data, at, name)])
    return str(row["id"])


def _was_told(transaction: Transaction, id_: str) -> bool:
    """Whether its event exists; it may be kept for longer than its row."""
    return transaction.execute(_TOLD, {"event_id": event_id(id_, 1)}).first() is not None


def _object_id(
    kind: Kind | None, producer: str | None, key: str | None, fields: Mapping[str, Any]
) -> str | None:
    """The object that it would have created, or the charge that it names."""
    if kind is not None:
        return id_from_key(kind, producer=producer, key=key) if producer and key else None
    charge_id = fields.get("charge_id")
    return charge_id if is_id(charge_id, PREFIXES["charge"]) else None


def of_messages(connection: Connection, messages: Iterable[Message]) -> dict[Message, Refused]:
    """The first refusal of each of these messages; those that were not refused are left out."""
    wanted = sorted(set(messages))
    if not wanted:
        return {}
    ids, fingerprints, task_ids = zip(*wanted, strict=True)
    given = {"ids": [*ids], "task_ids": [*task_ids], "fingerprints": [*fingerprints]}
    return {
        (object_id, fingerprint, task_id): refusal(code, detail, param=param)
        for object_id, fingerprint, task_id, code, detail, param in read(
            connection, tuple[str, str, str, str, str, str | None], _OF_MESSAGES, given
        )
    }


def newest(connection: Connection, *, limit: int) -> Iterator[dict[str, Any]]:
    """Refused requests, newest first, without their contents."""
    table = table_of(RejectedRequest)
    columns = [table.c[name] for name in SEEN]
    newest_first = (table.c.created_at.desc(), table.c.id.desc())
    for row in connection.execute(select(*columns).order_by(*newest_first).limit(limit)):
        yield {**columns_of(row), "created_at": moment(row.created_at)}


def _storable(text: str) -> bool:
    return text == _stored(text)


def _stored(text: str) -> str:
    """The text without what PostgreSQL can't store: NUL and surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _kept(value: Any, depth: int = HEADERS_DEPTH_MAX) -> Any:
    """A JSON value in a form that PostgreSQL can store: a message must not stay out of quarantine
    because of the defect that brought it there."""
    match value:
        case str():
            return _stored(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict() | list() if depth == 0:
            return "…"
        case dict():
            return {_stored(str(name)): _kept(one, depth - 1) for name, one in value.items()}
        case list():
            return [_kept(one, depth - 1) for one in value]
    return value


def quarantine(
    transaction: Transaction,
    raw: bytes,
    *,
    queue: str,
    reason: str,
    headers: Mapping[str, Any] | None = None,
    size: int | None = None,
) -> str:
    """Keep a message that is not a valid request, without card data; returns the hash that
    identifies it. `size` is that of the whole message if `raw` is only its beginning.

    The same message on one queue is kept once: the broker may deliver it again before it gets the
    acknowledgement. Its other headers may change then; its task and id don't. One that was released
    and failed again is kept again.
    """
    table, size = table_of(QuarantinedMessage), min(max(size or 0, len(raw)), SIZE_MAX)
    without = as_kept(raw, headers, reason=reason)
    # On RabbitMQ the publisher, who may be anyone, chose the queue's name.
    queue, reason = (_stored(masking.masked_text(one)) for one in (queue, reason))
    kept = _kept(without.headers) if without.headers else None
    there = select(table.c.id).where(
        table.c.sha256 == without.sha256,
        table.c.size == size,
        table.c.queue == queue,
        table.c.released_at.is_(None),
        *(
            table.c.headers[name].is_not_distinct_from(
                cast((kept or {}).get(name), JSONB(none_as_null=True))
            )
            for name in ("task", "id")
        ),
    )
    # Two masked messages without an id can't be compared.
    is_known = (kept or {}).get("id") is not None or not without.is_changed
    # Locked: while it is being released, its next try may already fail.
    if is_known and transaction.execute(there.with_for_update(read=True)).first() is not None:
        return without.sha256
    transaction.execute(
        insert(table),
        {
            "queue": queue,
            "reason": reason,
            "sha256": without.sha256,
            "size": size,
            "raw": without.raw,
            "headers": kept,
            "masked": without.is_changed,
        },
    )
    return without.sha256
