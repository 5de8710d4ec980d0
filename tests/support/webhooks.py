"""Webhook endpoints, events and what became of their deliveries, for tests."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import count

from sqlalchemy import Engine, RowMapping, text

from models.rows import EndpointRow
from payments.transaction import Database
from payments.webhooks import endpoints
from payments.webhooks.delivery import Deliverer
from payments.webhooks.events import Fact, publish
from payments.webhooks.post import Limits
from payments.webhooks.target import TargetCheck

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# Short enough to watch a timeout happen; and so long that none does.
HASTY = Limits(connect_s=0.5, total_s=0.6, body_s=0.3)
PATIENT = Limits(connect_s=600.0, total_s=600.0, body_s=600.0)

_numbers = count(1)


def an_endpoint(engine: Engine, url: str, *, max_in_flight: int = 16) -> EndpointRow:
    """An enabled endpoint for every type."""
    with Database(engine).transaction() as transaction:
        endpoint = endpoints.add(transaction, url=url, target_check=TargetCheck(LOOPBACK))
        transaction.execute(
            text("UPDATE webhook_endpoints SET max_in_flight = :n WHERE id = :id"),
            {"n": max_in_flight, "id": endpoint.id},
        )
    return endpoint


def events_happen(engine: Engine, number: int = 1) -> list[str]:
    """So many charges succeed; returns their ids. Every enabled endpoint has them to deliver."""
    ids = [f"ch_{next(_numbers)}" for _ in range(number)]
    facts = [
        Fact(
            type="charge.succeeded",
            object_id=id_,
            sequence=1,
            data={"charge_id": id_, "description": "für „zwei“ 🎉"},
            at=datetime.now(UTC),
            producer="tests",
        )
        for id_ in ids
    ]
    with Database(engine).transaction() as transaction:
        publish(transaction, facts)
    return ids


def rows(engine: Engine, statement: str, **parameters: object) -> Sequence[RowMapping]:
    """What a statement returns, or nothing; committed."""
    with engine.begin() as connection:
        result = connection.execute(text(statement), parameters)
        return result.mappings().all() if result.returns_rows else []


def deliveries(engine: Engine) -> Sequence[RowMapping]:
    return rows(engine, "SELECT * FROM deliveries ORDER BY id")


def is_due_again_after(engine: Engine, seconds: float) -> bool:
    """Whether the one delivery that was tried once waits for so long: counted from its attempt not
    shorter, and counted from now not longer, however long ago that was."""
    (row,) = rows(
        engine,
        "SELECT next_attempt_at - started_at AS from_attempt, next_attempt_at - now() AS from_now"
        " FROM deliveries JOIN delivery_attempts ON delivery_id = id",
    )
    return bool(row["from_now"] <= timedelta(seconds=seconds) <= row["from_attempt"])


def attempts(engine: Engine) -> Sequence[RowMapping]:
    return rows(engine, "SELECT * FROM delivery_attempts ORDER BY delivery_id, number")


def all_is_due(engine: Engine) -> None:
    """Time passes until every pending delivery is due again."""
    rows(engine, "UPDATE deliveries SET next_attempt_at = now() WHERE state = 'pending'")


def lease_runs_out(engine: Engine) -> None:
    rows(engine, "UPDATE webhook_endpoints SET drain_expires_at = now() - interval '1 second'")


@contextmanager
def a_deliverer(
    engine: Engine,
    *,
    limits: Limits | None = None,
    drain_s: float = 600.0,  # longer than any machine takes to empty what is due
    private: bool = True,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Deliverer]:
    """A deliverer with no jitter that may reach loopback, unless `private` is False."""
    with Deliverer(
        engine,
        allow_private=LOOPBACK if private else (),
        drain_s=drain_s,
        dice=lambda: 0.5,
        limits=limits,
        tls=tls,
    ) as deliverer:
        yield deliverer
