"""Which secrets sign: the newest, and while it is being replaced the one before."""

from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing import webhook
from infra.billing.errors import InvalidSignature
from models.rows import EndpointRow
from payments.webhooks import endpoints
from tests.support.acting import Database
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT, opened
from tests.support.webhooks import a_deliverer, an_endpoint, events_happen, rows


def rotated(engine: Engine, endpoint_id: str, *, overlap_s: int) -> EndpointRow:
    with Database(engine).transaction() as transaction:
        row, _ = endpoints.rotate_secret(transaction, endpoint_id, vault=VAULT, overlap_s=overlap_s)
    return opened(row)


def drained(engine: Engine, endpoint_id: str) -> Any:
    with a_deliverer(engine) as deliverer:
        return deliverer.drain(endpoint_id)


def is_signed_with(received: Received, secret: str) -> bool:
    try:
        webhook.verify(received.body, received.headers, secret)
    except InvalidSignature:
        return False
    return True


def test_while_a_secret_rotates_both_sign_and_afterwards_only_the_new_one(
    engine: Engine, sink: Sink
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    new, old = rotated(engine, endpoint.id, overlap_s=60).secrets
    assert old == endpoint.secrets[0]
    for _ in range(2):
        events_happen(engine)
        drained(engine, endpoint.id)
        rows(
            engine, "UPDATE webhook_endpoints SET older_secrets_until = now() - interval '1 second'"
        )
    during, afterwards = sink.requests
    assert during.headers["webhook-signature"].count("v1,") == 2
    assert is_signed_with(during, old)
    assert is_signed_with(during, new)
    assert not is_signed_with(afterwards, old)
    assert is_signed_with(afterwards, new)


def test_a_running_drain_signs_with_what_counts_now(engine: Engine, sink: Sink) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=1)
    events_happen(engine, 100)
    secrets = list(endpoint.secrets)

    def answer(_: Received) -> Answer:
        if len(sink.requests) == 1:
            secrets.append(rotated(engine, endpoint.id, overlap_s=0).secrets[0])
        return Answer()

    sink.answer = answer
    assert drained(engine, endpoint.id).delivered == 100
    assert is_signed_with(sink.requests[0], secrets[0])
    assert is_signed_with(sink.requests[-1], secrets[1])
    assert not is_signed_with(sink.requests[-1], secrets[0])


@pytest.mark.parametrize(("until", "signatures"), [("+ 60", 2), ("- 1", 1)])
def test_an_older_secret_signs_until_its_time_is_up_and_not_after(
    engine: Engine, sink: Sink, until: str, signatures: int
) -> None:
    endpoint = an_endpoint(engine, sink.url)
    new, old = rotated(engine, endpoint.id, overlap_s=60).secrets
    rows(
        engine,
        f"UPDATE webhook_endpoints SET older_secrets_until = now() {until} * interval '1 second'",
    )
    events_happen(engine)
    drained(engine, endpoint.id)
    (received,) = sink.requests
    assert len(received.headers["webhook-signature"].split()) == signatures
    assert is_signed_with(received, old) == (signatures == 2)
    assert is_signed_with(received, new)
