"""Finds what a text names: an id, a key, an order's reference, …

Every lookup uses an index, so ten million rows make no difference.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, bindparam, cast, select, text

from infra.billing.contract.ids import (
    AUDIT_PREFIX,
    DELIVERY_PREFIX,
    DISPUTE_PREFIX,
    MADE_PREFIXES,
    Made,
    delivery_number,
    id_from_key,
    is_id,
)
from infra.billing.contract.ids import Kind as KindName
from payments.kinds import CHARGE, KINDS, REFUND

# A customer may have thousands of charges; only the newest are returned.
EACH_MAX = 20
# Producers are one's own services. A thousand of them are checked in some milliseconds; with more
# of them, the producer must be named. An index of keys would avoid that, but cost each charge more
# than all else that search needs: as random as the primary key, and written by each of its three
# versions.
PRODUCERS_MAX = 1_000
# The note if the keys of other producers were not checked.
ONE_OF_MANY = (
    f"; there are more than {PRODUCERS_MAX:,} producers, and a key was looked for of the first of"
    " them by name: write whose key it is, as in `shop:order-1042`"
)
ID_PREFIXES = ("ch_", "re_", "prod_", "price_", "rej_", "we_")
_KEY_ID = re.compile(r"key_[a-z2-7]{16}")
_KEYED: tuple[KindName | Made, ...] = (*KINDS, "product", "price")


@dataclass(frozen=True, slots=True)
class Named:
    """The ids found. `more`: there are older ones, which were left out. `is_part`: a key was looked
    up for the first PRODUCERS_MAX producers only."""

    ids: Sequence[str]
    more: bool = False
    is_part: bool = False


def named(connection: Connection, wanted: str, *, producer: str | None = None) -> Named:
    """What `wanted` names: one of our ids; or the idempotency key, the reference, the customer, the
    processor's reference, or the request id of a charge or a refund.

    Of this producer, or of any. The newest EACH_MAX of each kind of match. Some of the ids may not
    exist.
    """
    if is_id(wanted, "evt_"):
        found = connection.execute(_OF_EVENT, {"wanted": wanted}).scalars()
        return Named(list(found))
    if any(is_id(wanted, prefix) for prefix in ID_PREFIXES) or _KEY_ID.fullmatch(wanted):
        return Named([wanted])
    for prefix, statement in _BELONGING.items():
        if is_id(wanted, prefix):
            given = {"wanted": delivery_number(wanted) if prefix == DELIVERY_PREFIX else wanted}
            return Named([str(id_) for id_ in connection.execute(statement, given).scalars()])
    keys, is_part = keys_of(connection, wanted, producer)
    keyed = [id_from_key(name, producer=who, key=key) for who, key in keys for name in _KEYED]
    given = {"wanted": wanted, "producer": producer, "limit": EACH_MAX + 1}
    ways = [list(connection.execute(way, given).scalars()) for way in _WAYS]
    others = [id_ for way in ways for id_ in way[:EACH_MAX]]
    return Named(
        list(dict.fromkeys([*keyed, *others])),
        more=any(len(way) > EACH_MAX for way in ways),
        is_part=is_part,
    )


def keys_of(
    connection: Connection, wanted: str, producer: str | None
) -> tuple[list[tuple[str, str]], bool]:
    """The keys that a text may be, each with its producer: this one, or any (None); then also
    `shop:order-1`, the key `order-1` of the producer `shop`. And whether there are more producers
    than were checked."""
    if producer is not None:
        return [(producer, wanted)], False
    producers = producers_of(connection)
    keys = [(one, wanted) for one in producers[:PRODUCERS_MAX]]
    named_one, _, key = (part.strip() for part in wanted.partition(":"))
    if named_one and key:
        keys.append((named_one, key))
    return keys, len(producers) > PRODUCERS_MAX


def producers_of(connection: Connection) -> list[str]:
    """The names of all producers that have requested something, or may; PRODUCERS_MAX of them, and
    some more if there are more."""
    found = connection.execute(_PRODUCERS, {"limit": PRODUCERS_MAX + 1}).scalars()
    return sorted({"default", *found})


def _way(kind: Any, column: str, *, newest: bool) -> Any:
    table = kind.table
    is_whose = cast(bindparam("producer"), Text)
    found = select(table.c.id).where(
        table.c[column].is_not(None),  # to match the partial index
        table.c[column] == bindparam("wanted"),
        is_whose.is_(None) | (table.c.producer == is_whose),
    )
    if newest:  # a hash index has no order, and one or two matches
        found = found.order_by(table.c.created_at.desc())
    return found.limit(bindparam("limit"))


# Other objects with an id, and the column with what they belong to.
_BELONGING = {
    DELIVERY_PREFIX: text(
        "SELECT e.object_id FROM deliveries d JOIN events e ON e.id = d.event_id"
        " WHERE d.id = :wanted"
    ),
    DISPUTE_PREFIX: text("SELECT charge_id FROM disputes WHERE id = :wanted"),
    MADE_PREFIXES["capture"]: text("SELECT charge_id FROM captures WHERE id = :wanted"),
    AUDIT_PREFIX: text("SELECT object_id FROM audit_log WHERE id = :wanted"),
}
_OF_EVENT = text("SELECT object_id FROM events WHERE id = :wanted")
_WAYS = (
    _way(CHARGE, "reference", newest=True),
    _way(CHARGE, "customer_id", newest=True),
    *(_way(kind, "processor_reference", newest=False) for kind in (CHARGE, REFUND)),
    *(_way(kind, "request_id", newest=False) for kind in (CHARGE, REFUND)),
)
# Jumps from each name to the next: as many steps in an index as there are names.
_PRODUCERS = text("""
    WITH RECURSIVE of_charges AS (
        (SELECT producer AS name FROM charges ORDER BY producer LIMIT 1)
        UNION ALL
        SELECT (SELECT c.producer FROM charges c WHERE c.producer > p.name
                ORDER BY c.producer LIMIT 1)
        FROM of_charges p WHERE p.name IS NOT NULL
    ), of_refunds AS (
        (SELECT COALESCE(charge_producer, producer) AS name FROM refunds
         ORDER BY COALESCE(charge_producer, producer) LIMIT 1)
        UNION ALL
        SELECT (SELECT COALESCE(r.charge_producer, r.producer) FROM refunds r
                WHERE COALESCE(r.charge_producer, r.producer) > p.name
                ORDER BY COALESCE(r.charge_producer, r.producer) LIMIT 1)
        FROM of_refunds p WHERE p.name IS NOT NULL
    ), of_rejections AS (
        (SELECT producer AS name FROM rejected_requests ORDER BY producer LIMIT 1)
        UNION ALL
        SELECT (SELECT r.producer FROM rejected_requests r WHERE r.producer > p.name
                ORDER BY r.producer LIMIT 1)
        FROM of_rejections p WHERE p.name IS NOT NULL
    )
    SELECT name FROM (
        SELECT name FROM of_charges UNION SELECT name FROM of_refunds
        UNION SELECT name FROM of_rejections UNION SELECT producer FROM api_keys
    ) AS every WHERE name IS NOT NULL ORDER BY name LIMIT :limit
""")
