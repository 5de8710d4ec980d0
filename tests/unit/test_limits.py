"""The limits on waiting add up: what may wait is never called hung."""

from dataclasses import replace

import pytest

from api.database import DEADLINE_S
from payments.webhooks import delivery_loop
from payments.webhooks.draining import recording
from payments.webhooks.targets.target_port import Limits as PostLimits
from service.database import database_limits
from service.settings import Settings
from tests.support.every import every

EVERY = [
    database_limits.WORK,
    database_limits.WEB,
    database_limits.SANDBOX,
    database_limits.COMMAND,
    database_limits.BOOKS,
    database_limits.DOCTOR,
    database_limits.MIGRATION,
]


@every("one", EVERY, ids=lambda one: one.application_name)
def test_a_server_that_can_speak_is_heard_before_our_own_clock_ends_the_wait(
    one: database_limits.Limits,
) -> None:
    assert one.lock_s < one.statement_s < one.answer_s
    assert one.connect_s >= 2  # libpq takes less for two


def test_the_server_is_told_in_milliseconds_and_only_what_it_knows() -> None:
    told = database_limits.WORK.settings(160_000)
    assert told["statement_timeout"] == "5000"
    assert told["lock_timeout"] == "2000"
    assert "transaction_timeout" not in told
    assert database_limits.WORK.settings(170_000)["transaction_timeout"] == "60000"
    assert "transaction_timeout" not in database_limits.COMMAND.settings(170_000)


@pytest.mark.parametrize("call_deadline_s", [0.5, 10.0, 299.0])
def test_a_task_may_wait_for_all_that_it_waits_for(call_deadline_s: float) -> None:
    given = Settings(call_deadline_s=call_deadline_s, lease_s=600)
    limit_s = database_limits.task_limit_s(
        call_deadline_s=given.call_deadline_s, drain_s=given.drain_s
    )
    assert limit_s > 2 * database_limits.batch_wait_s() + 2 * call_deadline_s
    assert limit_s > given.drain_s + PostLimits().total_s + recording.DATABASE_PATIENCE_S
    assert database_limits.DRAIN_END_S >= delivery_loop.CLOSE_S + recording.DATABASE_PATIENCE_S
    assert database_limits.sweep_wait_s(hosts=1) < database_limits.BEAT_LIMIT_S


def test_what_a_batch_may_wait_is_less_than_a_lease_and_a_call() -> None:
    """Sixty-four rows of two seconds each were more than a process was given."""
    assert database_limits.batch_wait_s() < database_limits.TASK_LIMIT_S / 2
    assert (
        database_limits.SANDBOX.answer_s + database_limits.SANDBOX.pool_s
        <= Settings().call_deadline_s
    )
    assert replace(database_limits.WEB).statement_s <= DEADLINE_S


def test_a_list_of_hosts_that_takes_too_long_to_try_is_refused() -> None:
    def url(hosts: int) -> str:
        named = ",".join(f"db{n}" for n in range(hosts))
        return Settings(database_url=f"postgresql://u:hunter2@{named}/name").database_url

    assert list(database_limits.problems(url(1))) == list(database_limits.problems(url(7))) == []
    (told,) = database_limits.problems(url(8))
    assert "BILLING_DATABASE_URL names 8 hosts" in told
    assert "name 7 at most" in told
    assert "hunter2" not in told
