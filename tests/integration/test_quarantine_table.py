"""The real worker, the real table: a broken message becomes a row, and charges go on."""

import base64
import json
import uuid

import redis
import sqlalchemy as sa

from tests.support.waiting import wait_for

SECRET = "4242424242424242"


def _item(task_id, kwargs, **headers):
    headers = {"lang": "go", "task": "billing.charge.create", "id": task_id, **headers}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "delivery_tag": uuid.uuid4().hex,
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "payments"},
            },
        }
    )


def test_broken_messages_become_rows_and_charges_go_on(programs, engine, redis_url):
    worker = programs.start("worker")
    kwargs = {"amount": 1999, "currency": "USD", "idempotency_key": "k1"}
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("payments", b"\xff not JSON \x00" + SECRET.encode())
        client.lpush("payments", _item("t1", {"card": SECRET}, task="billing.charge.crate"))
        client.lpush("payments", _item("t2", kwargs))

    def rows(statement):
        with engine.connect() as connection:
            return connection.execute(sa.text(statement)).all()

    wait_for(lambda: rows("SELECT 1 FROM charges WHERE state = 'succeeded'"), what="the charge")
    wait_for(
        lambda: rows("SELECT reason FROM quarantined_messages"),
        until=lambda kept: len(kept) == 2,
        what="both to be kept",
    )
    reasons = {row.reason for row in rows("SELECT reason FROM quarantined_messages")}
    assert "unknown task billing.charge.crate" in reasons
    with redis.Redis.from_url(redis_url) as client:
        wait_for(
            lambda: (client.hlen("unacked"), client.llen("payments")),
            until=lambda left: left == (0, 0),
            what="all to be acknowledged",
        )
    assert worker.alive
    assert SECRET not in worker.output
