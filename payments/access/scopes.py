"""Who may do what: the one place that decides it, whatever the door.

An API key has *scopes*, which say what it may do, and a producer, whose objects alone it sees
unless it is for all producers. What it may not see is answered as what isn't there: word for word,
so that nobody learns from a refusal what another producer has.

- A charge belongs to the producer that asked for it.
- A refund belongs to the producer of its charge. Another producer's charge is refunded only by
  those who see all producers' objects; for everybody else there is no such charge.
- A webhook endpoint belongs to one producer and is told of that producer's events; or to nobody,
  and is told of everybody's. Only those who see all producers' objects see the latter.
- The catalogue (products, prices, stock, currencies) is shared, and so are its events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, or_, true

from infra.billing.contract.texts import is_producer
from models.rows import ChargeRow, LifecycleRow, as_refund
from payments.errors import InsufficientScope, InvalidRequest

CHARGES_READ, CHARGES_WRITE, REFUNDS_WRITE = "charges:read", "charges:write", "refunds:write"
PRICES_READ, PRICES_WRITE = "prices:read", "prices:write"
WEBHOOKS_READ, WEBHOOKS_WRITE = "webhooks:read", "webhooks:write"
OPERATE = "operator"
READ, WRITE = "read", "write"

_READING = frozenset({CHARGES_READ, PRICES_READ, WEBHOOKS_READ})
_WRITING = frozenset({CHARGES_WRITE, REFUNDS_WRITE, PRICES_WRITE, WEBHOOKS_WRITE})
# What each scope that a key may have allows. `read` and `write` are older than the others, and mean
# all that there was to read and to write.
SCOPES: Mapping[str, frozenset[str]] = {
    READ: _READING,
    WRITE: _WRITING,
    CHARGES_READ: frozenset({CHARGES_READ}),
    CHARGES_WRITE: frozenset({CHARGES_WRITE}),
    REFUNDS_WRITE: frozenset({REFUNDS_WRITE}),
    PRICES_READ: frozenset({PRICES_READ}),
    PRICES_WRITE: frozenset({PRICES_WRITE}),
    # Whoever changes endpoints must see them.
    WEBHOOKS_WRITE: frozenset({WEBHOOKS_READ, WEBHOOKS_WRITE}),
    OPERATE: _READING | _WRITING | {OPERATE},
}

# By the permission: the scopes that allow it.
_ALLOWED_BY: Mapping[str, frozenset[str]] = {
    permission: frozenset(scope for scope, allowed in SCOPES.items() if permission in allowed)
    for permission in frozenset().union(*SCOPES.values())
}

# What each operation needs, by its name in OpenAPI. A route that is not here, or in SIGNED, is not
# served.
OPERATIONS: Mapping[str, str] = {
    "create_charge": CHARGES_WRITE,
    "capture_charge": CHARGES_WRITE,
    "cancel_charge": CHARGES_WRITE,
    "list_charges": CHARGES_READ,
    "get_charge": CHARGES_READ,
    "get_charge_timeline": CHARGES_READ,
    "create_refund": REFUNDS_WRITE,
    "list_refunds": CHARGES_READ,
    "get_refund": CHARGES_READ,
    "get_refund_timeline": CHARGES_READ,
    "list_disputes": CHARGES_READ,
    "get_dispute": CHARGES_READ,
    "export": CHARGES_READ,
    "report": CHARGES_READ,
    "list_events": CHARGES_READ,
    "create_product": PRICES_WRITE,
    "list_products": PRICES_READ,
    "get_product": PRICES_READ,
    "update_product": PRICES_WRITE,
    "archive_product": PRICES_WRITE,
    "delete_product": PRICES_WRITE,
    "create_price": PRICES_WRITE,
    "list_prices": PRICES_READ,
    "get_price": PRICES_READ,
    "update_price": PRICES_WRITE,
    "archive_price": PRICES_WRITE,
    "delete_price": PRICES_WRITE,
    "change_price_inventory": PRICES_WRITE,
    "quote_price": PRICES_READ,
    "list_currencies": PRICES_READ,
    "get_currency": PRICES_READ,
    "create_webhook_endpoint": WEBHOOKS_WRITE,
    "list_webhook_endpoints": WEBHOOKS_READ,
    "get_webhook_endpoint": WEBHOOKS_READ,
    "update_webhook_endpoint": WEBHOOKS_WRITE,
    "delete_webhook_endpoint": WEBHOOKS_WRITE,
    "rotate_webhook_secret": WEBHOOKS_WRITE,
    "ping_webhook_endpoint": WEBHOOKS_WRITE,
    "replay_to_webhook_endpoint": WEBHOOKS_WRITE,
    "list_deliveries": WEBHOOKS_READ,
    "get_delivery": WEBHOOKS_READ,
    "retry_delivery": WEBHOOKS_WRITE,
    "list_approvals": OPERATE,
    "get_approval": OPERATE,
    "approve": OPERATE,
    "reject": OPERATE,
    "list_audit": OPERATE,
    "search": CHARGES_READ,
}

# Operations that need no key, since what they take is signed by somebody else.
SIGNED = frozenset({"hear_processor"})

# As the producer of an event: it concerns the catalogue, so it is everybody's. No producer can
# have this name.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and what they may do."""

    # In whose name they ask; None for the operator at the command line, who names one.
    producer: str | None
    scopes: frozenset[str]
    all_producers: bool = False
    # Of the API key, if it is one.
    key_id: str | None = None

    def allows(self, permission: str) -> bool:
        """Whether one of the scopes allows it."""
        return not self.scopes.isdisjoint(_ALLOWED_BY[permission])

    def require(self, permission: str) -> None:
        """Raises InsufficientScope unless one of the scopes allows it."""
        those = _ALLOWED_BY[permission]
        if not self.scopes.isdisjoint(those):
            return
        wanted = next(scope for scope in (permission, *SCOPES) if scope in those)
        raise InsufficientScope(
            f"this API key lacks the scope {wanted!r}; ask for one that has it", scope=wanted
        )

    @property
    def sees_all(self) -> bool:
        """Whether every producer's objects are there for it."""
        return self.all_producers or OPERATE in self.scopes

    def sees(self, owner: str | None) -> bool:
        """Whether what belongs to this producer (None: to nobody) is there for it."""
        return self.sees_all or (owner is not None and owner == self.producer)

    def sees_where(self, owner: ColumnElement[Any]) -> ColumnElement[bool]:
        """`sees` in SQL."""
        return true() if self.sees_all else owner == self.producer

    def producer_of_endpoint(self, asked: object) -> str | None:
        """Whose events an endpoint that it makes is told of; None = everybody's.

        Raises InvalidRequest.
        """
        if asked is None:
            return None if self.sees_all else self.producer
        if not is_producer(asked) or not self.sees(asked):
            whose = "a producer's name" if self.sees_all else f"{self.producer}, or left out"
            raise InvalidRequest(f"producer must be {whose}", param="producer")
        return asked


# Whoever can run our commands has the database's password, and so everything.
OPERATOR = Access(None, frozenset({OPERATE}), all_producers=True)


def owner(row: LifecycleRow) -> str:
    """The producer that a charge or a refund belongs to."""
    # Looked for first: to ask a row for a column that it doesn't have costs ten times as much.
    is_of_a_charge = "charge_producer" in row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  # public, in spite of its name
    return (is_of_a_charge and as_refund(row).charge_producer) or row.producer


def owner_in(rows: FromClause) -> ColumnElement[Any]:
    """`owner` in SQL, as the indexes have it."""
    if "charge_producer" in rows.c:
        return func.coalesce(rows.c.charge_producer, rows.c.producer)
    return rows.c.producer


def other_producer(charge: ChargeRow, asker: str) -> str | None:
    """Whose charge it is when it is not `asker`'s own: what a refund keeps of it."""
    return None if charge.producer == asker else charge.producer


def may_refund(charge_producer: str, *, asker: str, any_charge: bool) -> bool:
    """Whether a refund that `asker` asked for may be of this producer's charge."""
    return any_charge or charge_producer == asker


def may_refund_where(
    charge_producer: ColumnElement[Any],
    *,
    asker: ColumnElement[Any],
    any_charge: ColumnElement[bool],
) -> ColumnElement[bool]:
    """`may_refund` in SQL."""
    return or_(any_charge, charge_producer == asker)


def may_be_told_where(
    event_producer: ColumnElement[Any], endpoint_producer: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether an event is told to an endpoint, as far as whose they are."""
    return or_(
        endpoint_producer.is_(None),
        event_producer == EVERYBODY,
        event_producer == endpoint_producer,
    )
