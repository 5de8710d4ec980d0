"""A worker told to stop while PostgreSQL is away stops, and gives back what it held."""

import base64
import json
import uuid

import redis

from tests.conftest import environ_for
from tests.support import databases


def _request():
    body = json.dumps([[], {"amount": 1999, "currency": "USD"}, {}]).encode()
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"lang": "go", "task": "billing.charge.create", "id": "k1"},
            "properties": {
                "delivery_tag": uuid.uuid4().hex,
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "payments"},
            },
        }
    )


def test_a_worker_stops_while_the_database_is_away(own_servers, start_programs, tmp_path):
    with databases.fresh(own_servers.postgres) as url:
        environ = environ_for(url, own_servers.redis.url, tmp_path)
        worker = start_programs(environ).start("worker")
        own_servers.postgres.stop()
        try:
            with redis.Redis.from_url(own_servers.redis.url) as client:
                client.lpush("payments", _request())
                worker.wait_until("database unavailable")
                worker.stop()
                assert (client.llen("payments"), client.hlen("unacked")) == (1, 0)
        finally:
            own_servers.postgres.start()
