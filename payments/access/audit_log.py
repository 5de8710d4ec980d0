"""What people and keys did: a row for each action, in the transaction that does it.

Append-only: rows are never changed or deleted (`models.base.APPEND_ONLY`). So nothing secret goes
in, and nothing that `billing erase` would have to remove: only fields of an object that say nothing
about a person, and only reasons that people give for what they do, not what callers say of
customers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, insert, select

from infra.billing.contract.ids import AUDIT_PREFIX, random_id
from infra.billing.contract.objects import AuditEntry as Shown
from infra.billing.contract.texts import is_storable
from models import AuditEntry
from models.base import table_of
from models.rows import AuditRow
from payments.acting import Acting, by_itself
from payments.paging import Listing
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import Transaction, first
from payments.views import view_of

# Filters of a list: columns that must equal, and bounds on `created_at` (moments with a zone; the
# first inclusive, the second exclusive).
FILTERS = ("actor", "action", "object_id", "request_id")
BOUNDS = ("since", "until")
# Fields of a shown object that change by themselves.
LEFT_OUT = frozenset({"object", "created_at", "updated_at", "sequence", "health"})

view = view_of(Shown)


class NobodyActs(Exception):
    """An action that only a person or a key may do was attempted in a transaction without an
    actor."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action such as `charge.cancel`, its object, and the object before and after.

    Of `before` and `after` only the differences are kept; of what is created or deleted,
    everything.
    """

    name: str
    object_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    # Who does it, if not the actor of the transaction.
    acting: Acting | None = None


def record(
    transaction: Transaction,
    name: str,
    object_id: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    acting: Acting | None = None,
) -> None:
    """Write one action. Raises NobodyActs."""
    record_all(transaction, [Action(name, object_id, before, after, acting)])


def record_change(
    transaction: Transaction,
    name: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    because: str = "",
) -> None:
    """Write the change of an object, shown before and after; `because`: the service did it by
    itself."""
    acting = by_itself(because) if because else None
    record(transaction, name, after["id"], before=before, after=after, acting=acting)


def record_all(transaction: Transaction, actions: Sequence[Action]) -> None:
    """Write several actions with one statement."""
    if actions:
        transaction.execute(_INSERT, [_row(transaction, one) for one in actions])  # type: ignore[arg-type]


def acting_in(transaction: Transaction, acting: Acting | None = None) -> Acting:
    """The actor. Raises NobodyActs."""
    found = acting or transaction.acting
    if found is None:
        raise NobodyActs("open the transaction with the Acting of whoever asks")
    return found


def changes(shown: Mapping[str, Any]) -> str:
    """What an action changed, in a line: `state: enabled → disabled`."""
    before, after = shown["before"] or {}, shown["after"] or {}
    if not before or not after:  # for what was created or deleted, everything is there
        return ""
    return ", ".join(f"{name}: {before.get(name)} → {value}" for name, value in after.items())


def get(connection: Connection, id_: str) -> AuditRow:
    """The action with this id. Raises NotFound."""
    row = first(connection, AuditRow, select(_t).where(_t.c.id == id_))
    if row is None:
        raise NotFound("there is no action with this id", param="id")
    return row


def was_done(connection: Connection, action: str, object_id: str) -> bool:
    """Whether this was ever done to the object, even if the object no longer exists."""
    done = exists().where(_t.c.object_id == object_id, _t.c.action == action)
    return bool(connection.scalar(select(done)))


def _row(transaction: Transaction, one: Action) -> dict[str, Any]:
    acting = acting_in(transaction, one.acting)
    before, after = _kept(one.before), _kept(one.after)
    if before is not None and after is not None:
        differing = {name for name in after if name not in before or before[name] != after[name]}
        before, after = (
            {name: value for name, value in side.items() if name in differing}
            for side in (before, after)
        )
    return {
        "id": random_id(AUDIT_PREFIX),
        "actor": acting.actor,
        "actor_kind": acting.kind,
        "account": acting.account,
        "producer": acting.producer,
        "door": acting.door,
        "action": one.name,
        "object_id": one.object_id,
        "reason": acting.why,
        "before": before,
        "after": after,
        "request_id": acting.request_id,
    }


def _kept(shown: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    return {name: value for name, value in shown.items() if name not in LEFT_OUT}


def _condition(name: str, value: Any) -> ColumnElement[bool]:
    is_so: ColumnElement[bool]
    if name == "since":
        is_so = _t.c.created_at >= value
    elif name == "until":
        is_so = _t.c.created_at < value
    elif is_storable(value):
        is_so = _t.c[name] == value
    else:
        raise InvalidRequest(f"{name} holds control characters", param=name)
    return is_so


_t = table_of(AuditEntry)
TABLE = _t.name
_INSERT = insert(_t)
_LISTING = Listing(AuditRow, _t, AUDIT_PREFIX, (*FILTERS, *BOUNDS), _condition)
page, every = _LISTING.page, _LISTING.every
