"""Receivers that answer strangely, and the real processes that deliver to them."""

import threading
from socket import socket

from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database
from tests.support.house import House
from tests.support.rude import rude_receiver
from tests.support.strange import MOMENTS
from tests.support.vault import VAULT
from tests.support.waiting import wait_for
from tests.support.webhooks import LOOPBACK

# Of one endpoint: when each was recorded, and how many posts there were by then.
ATTEMPTS = """
    SELECT a.status_code, a.error FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id
    WHERE d.endpoint_id = :id
"""


def test_a_moment_that_nobody_can_read_does_not_make_us_post_without_end(
    redis_house: House,
) -> None:
    posts: list[int] = []

    def busy(connection: socket, _: threading.Event) -> None:
        posts.append(1)
        head = f"HTTP/1.1 503 Busy\r\nretry-after: {MOMENTS[0]}\r\ncontent-length: 0\r\n\r\n"
        connection.sendall(head.encode())

    database = Database(redis_house.witness.engine)
    with rude_receiver(busy) as url:
        with database.transaction() as transaction:
            endpoint, _ = endpoints.add(
                transaction,
                url=url,
                target_check=TargetCheck(LOOPBACK),
                vault=VAULT,
                event_types=["charge.succeeded"],
            )
        try:
            charge_id = redis_house.charge()
            wait_for(
                lambda: redis_house.witness.state(charge_id) == "succeeded",
                what="the charge",
            )
            # The second is five seconds after the first: by then a post per second would show.
            attempts = wait_for(
                lambda: (
                    found
                    if len(found := redis_house.witness.rows(ATTEMPTS, id=endpoint.id)) == 2
                    else None
                ),
                what="the second attempt to be recorded",
            )
            assert [(one["status_code"], one["error"]) for one in attempts] == [(503, None)] * 2
            assert len(posts) == 2
        finally:
            # Without a trace: the witness counts what was not delivered.
            redis_house.witness.rows(
                "DELETE FROM webhook_endpoints WHERE id = :id RETURNING 1", id=endpoint.id
            )
    redis_house.witness.wait_until_quiet()
    redis_house.witness.testify()
