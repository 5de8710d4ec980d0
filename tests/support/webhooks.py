"""Webhook endpoints, events and what became of their deliveries, for tests."""

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import count
from typing import Any

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver
from sqlalchemy import Engine, RowMapping, text

from models.rows import EndpointRow
from payments.access.vault import Vault
from payments.webhooks import endpoints
from payments.webhooks.delivery_loop import Deliverer
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.post import OpenSocket
from payments.webhooks.target import TargetCheck
from payments.webhooks.targets.target_port import Limits
from service.wiring import asked_together
from tests.support.acting import Database
from tests.support.vault import VAULT, opened
from tests.support.waiting import slowness

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# So long that none of it ever passes.
PATIENT = Limits(connect_s=600.0, total_s=600.0, body_s=600.0)

_numbers = count(1)


def hasty(times: float = 1.0) -> Limits:
    """Short enough to watch a timeout happen, and longer where others want the machine; so much
    more of it where somebody else has to be in time by the same limits."""
    slow = times * slowness()
    return Limits(connect_s=0.5 * slow, total_s=0.6 * slow, body_s=0.3)


def an_endpoint(engine: Engine, url: str, *, max_in_flight: int = 16, **fields: Any) -> EndpointRow:
    """An enabled endpoint, with its secret as the receiver has it. For everybody's events of every
    type but those that have to be named, unless `fields` say otherwise."""
    with Database(engine).transaction() as transaction:
        endpoint, _ = endpoints.add(
            transaction, url=url, target_check=TargetCheck(LOOPBACK), vault=VAULT, **fields
        )
        transaction.execute(
            text("UPDATE webhook_endpoints SET max_in_flight = :n WHERE id = :id"),
            {"n": max_in_flight, "id": endpoint.id},
        )
    return opened(endpoint)


def pending_is_asked_for(engine: Engine) -> EndpointRow:
    """Somebody asks to be told of what is accepted, which is not written else, and of nothing more.
    Nobody listens there."""
    types = ["charge.pending", "refund.pending"]
    return an_endpoint(engine, "http://127.0.0.1:9/pending", event_types=types)


def a_fact() -> Fact:
    """A charge succeeds."""
    id_ = f"ch_{next(_numbers)}"
    return Fact(
        type="charge.succeeded",
        object_id=id_,
        sequence=1,
        data={"charge_id": id_, "description": "für „zwei“ 🎉"},
        at=datetime.now(UTC),
        producer="tests",
    )


def events_happen(engine: Engine, number: int = 1) -> list[str]:
    """So many charges succeed; returns their ids. Every enabled endpoint has them to deliver."""
    facts = [a_fact() for _ in range(number)]
    with Database(engine).transaction() as transaction:
        publish(transaction, facts)
    return [fact.object_id for fact in facts]


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
    with engine.begin() as connection:
        # As a drainer does, so that the two don't wait for each other in a circle.
        connection.execute(text("SELECT FROM webhook_endpoints ORDER BY id FOR NO KEY UPDATE"))
        connection.execute(
            text("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'pending'")
        )


def lease_runs_out(engine: Engine) -> None:
    rows(engine, "UPDATE webhook_endpoints SET drain_expires_at = now() - interval '1 second'")


@contextmanager
def a_deliverer(
    engine: Engine,
    *,
    vault: Vault = VAULT,
    limits: Limits | None = None,
    drain_s: float = 600.0,  # longer than any machine takes to empty what is due
    private: bool = True,
    tls: ssl.SSLContext | None = None,
    resolver: Callable[[], AbstractResolver] = ThreadedResolver,
    open_socket: OpenSocket = socket.socket,
    **others: Any,
) -> Iterator[Deliverer]:
    """A deliverer with no jitter that may reach loopback, unless `private` is False."""
    with Deliverer(
        engine,
        vault,
        together=asked_together,
        allow_private=LOOPBACK if private else (),
        drain_s=drain_s,
        dice=lambda: 0.5,
        limits=limits,
        tls=tls,
        resolver=resolver,
        open_socket=open_socket,
        **others,
    ) as deliverer:
        yield deliverer
