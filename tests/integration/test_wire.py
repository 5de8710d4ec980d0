"""Every golden message meets a real worker: requests are carried out, and nothing vanishes."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, text

from tests.conftest import environ_for
from tests.support import vectors
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.waiting import wait_for

KEPT = """
    SELECT
        (SELECT json_agg(id) FROM (SELECT id FROM charges UNION SELECT id FROM refunds) AS objects),
        (SELECT json_agg(json_build_array(task_id, code, param)) FROM rejected_requests),
        (SELECT json_agg(reason) FROM quarantined_messages)
"""


LATE = ("request_expired", "expires")


def test_what_producers_really_send_is_taken_or_kept(
    start_programs: Callable[..., Programs],
    database_url: str,
    broker_url: str,
    engine: Engine,
    tmp_path: Path,
) -> None:
    sent = vectors.of("amqp" if broker_url.startswith("amqp") else "redis")
    with Producer(broker_url) as producer:
        producer.declare()
    for vector in sent:
        vector.send(broker_url)
    environ = environ_for(database_url, broker_url, tmp_path)
    worker = start_programs(environ).start("worker")

    def kept() -> tuple[list[str], list[list[str]], list[str]]:
        with engine.connect() as connection:
            objects, rejected, quarantined = connection.execute(text(KEPT)).one()
        return (
            sorted(objects or []),
            sorted(rejected or [], key=str),
            sorted(quarantined or []),
        )

    expected = (
        # One asks for the same charge as another, as an older kombu wraps it.
        sorted({v.expected["object_id"] for v in sent if "object_id" in v.expected}),
        sorted(
            [
                *(
                    [v.expected["id"], *v.expected["rejected"].values()]
                    for v in sent
                    if _is_refused(v)
                ),
                *([v.expected["late"]["id"], *LATE] for v in sent if "late" in v.expected),
            ],
            key=str,
        ),
        sorted(v.expected["quarantined"] for v in sent if "quarantined" in v.expected),
    )
    ends = sum(map(len, expected))
    wait_for(lambda: sum(map(len, kept())) >= ends, what="every message's end")
    assert kept() == expected
    assert worker.alive


def _is_refused(vector: vectors.Vector) -> bool:
    return "rejected" in vector.expected
