"""What each caller may do: the one place that decides it, for every door.

An API key has *scopes*, which say what it may do, and a producer, whose objects alone it sees
unless it is for all producers. What it may not see gets the same answer, word for word, as what
doesn't exist, so that a refusal reveals nothing about other producers.

- A charge belongs to the producer that asked for it.
- A refund belongs to the producer of its charge. Only callers that see all producers' objects may
  refund another producer's charge; for everyone else there is no such charge.
- A webhook endpoint belongs to one producer and gets that producer's events; or it has no producer,
  and gets everyone's. Only callers that see all producers' objects see the latter.
- The catalogue (products, prices, stock, currencies) is shared, and so are its events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, or_, true

from infra.billing.contract.texts import is_producer
from models.rows import ChargeRow, LifecycleRow, as_refund
from payments.payment_errors import InsufficientScope, InvalidRequest

CHARGES_READ, CHARGES_WRITE, REFUNDS_WRITE = "charges:read", "charges:write", "refunds:write"
PRICES_READ, PRICES_WRITE = "prices:read", "prices:write"
WEBHOOKS_READ, WEBHOOKS_WRITE = "webhooks:read", "webhooks:write"
OPERATE = "operator"
READ, WRITE = "read", "write"

_READING = frozenset({CHARGES_READ, PRICES_READ, WEBHOOKS_READ})
_WRITING = frozenset({CHARGES_WRITE, REFUNDS_WRITE, PRICES_WRITE, WEBHOOKS_WRITE})
# What each scope of a key allows. `read` and `write` are older than the others, and cover all that
# could be read and written then.
SCOPES: Mapping[str, frozenset[str]] = {
    READ: _READING,
    WRITE: _WRITING,
    CHARGES_READ: frozenset({CHARGES_READ}),
    CHARGES_WRITE: frozenset({CHARGES_WRITE}),
    REFUNDS_WRITE: frozenset({REFUNDS_WRITE}),
    PRICES_READ: frozenset({PRICES_READ}),
    PRICES_WRITE: frozenset({PRICES_WRITE}),
    # To change endpoints one must see them.
    WEBHOOKS_WRITE: frozenset({WEBHOOKS_READ, WEBHOOKS_WRITE}),
    OPERATE: _READING | _WRITING | {OPERATE},
}

# By the permission: the scopes that allow it.
_ALLOWED_BY: Mapping[str, frozenset[str]] = {
    permission: frozenset(scope for scope, allowed in SCOPES.items() if permission in allowed)
    for permission in frozenset().union(*SCOPES.values())
}

# The permission for each operation, by its name in OpenAPI. A route that is not here, or in SIGNED,
# is not served.
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

# Operations that need no key, since a processor signs what they accept.
SIGNED = frozenset({"hear_processor"})

# The producer of an event about the catalogue, which everyone may see. No real producer can have
# this name.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Access:
    """The caller and its permissions."""

    # The producer; None for the operator at the command line, who names one.
    producer: str | None
    scopes: frozenset[str]
    all_producers: bool = False
    # The id of the API key, if one is used.
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
        """Whether it sees every producer's objects."""
        return self.all_producers or OPERATE in self.scopes

    def sees(self, owner: str | None) -> bool:
        """Whether it sees what belongs to this producer (None: to no producer)."""
        return self.sees_all or (owner is not None and owner == self.producer)

    def sees_where(self, owner: ColumnElement[Any]) -> ColumnElement[bool]:
        """`sees` as SQL."""
        return true() if self.sees_all else owner == self.producer

    def producer_of_endpoint(self, asked: object) -> str | None:
        """Whose events an endpoint that it creates gets; None = everyone's.

        Raises InvalidRequest.
        """
        if asked is None:
            return None if self.sees_all else self.producer
        if not is_producer(asked) or not self.sees(asked):
            whose = "a producer's name" if self.sees_all else f"{self.producer}, or left out"
            raise InvalidRequest(f"producer must be {whose}", param="producer")
        return asked


# Everyone who can run our commands has the database's password, and so full access.
OPERATOR = Access(None, frozenset({OPERATE}), all_producers=True)


def owner(row: LifecycleRow) -> str:
    """The producer that a charge or a refund belongs to."""
    # Checked first: reading a column that a row doesn't have costs ten times as much.
    is_of_a_charge = "charge_producer" in row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  # public, in spite of its name
    return (is_of_a_charge and as_refund(row).charge_producer) or row.producer


def owner_in(rows: FromClause) -> ColumnElement[Any]:
    """`owner` as SQL, in the form of the indexes."""
    if "charge_producer" in rows.c:
        return func.coalesce(rows.c.charge_producer, rows.c.producer)
    return rows.c.producer


def other_producer(charge: ChargeRow, asker: str) -> str | None:
    """The charge's producer if that is not `asker`: what a refund keeps of it."""
    return None if charge.producer == asker else charge.producer


def may_refund(charge_producer: str, *, asker: str, any_charge: bool) -> bool:
    """Whether `asker` may refund this producer's charge."""
    return any_charge or charge_producer == asker


def may_refund_where(
    charge_producer: ColumnElement[Any],
    *,
    asker: ColumnElement[Any],
    any_charge: ColumnElement[bool],
) -> ColumnElement[bool]:
    """`may_refund` as SQL."""
    return or_(any_charge, charge_producer == asker)


def may_be_told_where(
    event_producer: ColumnElement[Any], endpoint_producer: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether an event may go to an endpoint, judging by their producers; as SQL."""
    return or_(
        endpoint_producer.is_(None),
        event_producer == EVERYBODY,
        event_producer == endpoint_producer,
    )
