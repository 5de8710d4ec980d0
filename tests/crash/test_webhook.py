"""kill -9 of the process that delivers webhooks, at every point of a delivery."""

import pytest

from tests.support.house import House

# How often the receiver hears of it: more than once only if the process died with the answer.
POINTS = {"received": 1, "drain_claimed": 1, "posted": 2, "recorded": 1, "done": 1}


def _times_told(town: House, object_id: str) -> int:
    (event,) = town.witness.rows(
        "SELECT id FROM events WHERE object_id = :id AND type = 'charge.succeeded'", id=object_id
    )
    ids = [request.headers["webhook-id"] for request in list(town.witness.sink.requests)]
    return ids.count(event["id"])


@pytest.mark.parametrize("point", POINTS)
def test_a_webhook_arrives_though_its_deliverer_dies(point: str, town: House) -> None:
    town.arm("webhooks", point)
    charge_id = town.charge()
    town.wait_for_death("webhooks", point)

    town.start("webhooks")

    town.witness.wait_until_final([charge_id])
    assert _times_told(town, charge_id) == POINTS[point]
    town.witness.testify()
