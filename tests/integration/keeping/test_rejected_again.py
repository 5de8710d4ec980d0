"""A refusal whose row was kept for a shorter time than its event."""

from sqlalchemy import Engine

from payments.intake import rejections
from payments.payment_errors import InvalidRequest
from tests.integration.keeping.test_retention import count
from tests.support.acting import Database
from tests.support.webhooks import rows


def test_a_message_that_is_refused_again_is_kept_again_and_told_no_second_time(
    engine: Engine,
) -> None:
    def refuse() -> str:
        with Database(engine).transaction() as transaction:
            return rejections.record(
                transaction,
                "billing.charge.create",
                refused=InvalidRequest("amount is required", param="amount"),
                fields={"producer": "shop"},
                task_id="one and the same",
            )

    first = refuse()
    rows(engine, "DELETE FROM rejected_requests")
    assert refuse() == first
    assert refuse() == first
    assert count(engine, "rejected_requests") == 1
    assert count(engine, "events") == 1
