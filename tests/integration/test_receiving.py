"""The receivers of docs/how-to/receive-webhooks.md, run as they stand against the real sender."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from infra import billing
from payments.transaction import Database
from payments.webhooks import endpoints
from payments.webhooks.drains import Drained
from payments.webhooks.events import Fact, publish
from payments.webhooks.replays import replay
from payments.webhooks.target import TargetCheck
from tests.support import children
from tests.support.ports import free_port
from tests.support.programs import ROOT
from tests.support.waiting import patience_s, wait_for
from tests.support.webhooks import LOOPBACK, a_deliverer, an_endpoint, deliveries, rows

PAGE = (ROOT / "docs/how-to/receive-webhooks.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
# As the page says to start them.
COMMANDS: dict[str, Sequence[str]] = {
    "fastapi": ("uvicorn", "fastapi_receiver:app", "--port"),
    "django": ("django_receiver.py", "runserver", "--noreload"),
    "flask": ("flask", "--app", "flask_receiver", "run", "--port"),
}
BODY = '{"type":"ping","timestamp":"2026-11-29T10:00:00Z","sequence":1,"data":{}}'


class Receiver:
    """One of them, running."""

    def __init__(self, url: str, books: Path) -> None:
        self.url = url
        self._books = books

    def kept(self) -> dict[str, tuple[int, str]]:
        """Of each payment, what its newest event said."""
        with closing(sqlite3.connect(self._books)) as books:
            found = books.execute("SELECT id, sequence, state FROM payments").fetchall()
        return {id_: (sequence, state) for id_, sequence, state in found}

    def handled(self) -> int:
        with closing(sqlite3.connect(self._books)) as books:
            return int(books.execute("SELECT count(*) FROM handled").fetchone()[0])


@pytest.fixture(params=COMMANDS)
def receiver(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Receiver]:
    """Each in turn, in a folder with what the page says, and an endpoint for it."""
    name = str(request.param)
    pytest.importorskip(name)
    for file, code in FILES.items():
        (tmp_path / file).write_text(code)
    port = free_port()
    url = f"http://127.0.0.1:{port}/hooks"
    endpoint = an_endpoint(engine, url)
    program, *arguments = COMMANDS[name]
    python = [sys.executable, *([] if program.endswith(".py") else ["-m"]), program]
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("BILLING_")},
        "BILLING_WEBHOOK_SECRET": endpoint.secrets[0],
        "BOOKS": str(tmp_path / "books.sqlite"),
        "PYTHONPATH": str(ROOT),
    }
    with (tmp_path / "log").open("w") as log:
        running = children.start(
            [*python, *arguments, str(port)], cwd=tmp_path, env=environ, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: _listens(url, running), what=f"{name} to listen")
        yield Receiver(url, tmp_path / "books.sqlite")
    finally:
        running.kill()
        running.wait(patience_s())


def _listens(url: str, running: subprocess.Popen[bytes]) -> bool:
    assert running.poll() is None, (Path(url), "it ended")
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True


def happen(engine: Engine, *told: tuple[str, int, str]) -> None:
    """These facts become true: charge, sequence, state."""
    facts = [
        Fact(
            f"charge.{state}",
            id_,
            sequence,
            {"charge_id": id_, "object": "charge", "state": state, "description": "für 🎉"},
            datetime.now(UTC),
            "shop",
        )
        for id_, sequence, state in told
    ]
    with Database(engine).transaction() as transaction:
        publish(transaction, facts)


def test_it_handles_each_event_once_and_keeps_the_newest_state(
    engine: Engine, receiver: Receiver
) -> None:
    (endpoint,) = rows(engine, "SELECT * FROM webhook_endpoints")
    endpoint_id = endpoint["id"]
    # One after the other, the newer of ch_2 first: events overtake each other.
    with Database(engine).transaction() as transaction:
        endpoints.update(
            transaction,
            endpoint_id,
            changes={"max_in_flight": 1, "event_types": ["charge.pending", "charge.succeeded"]},
            target_check=TargetCheck(LOOPBACK),
        )
    happen(engine, ("ch_1", 2, "succeeded"), ("ch_2", 2, "succeeded"), ("ch_2", 1, "pending"))
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(endpoint_id) == Drained(delivered=3)
        assert receiver.kept() == {"ch_1": (2, "succeeded"), "ch_2": (2, "succeeded")}
        with Database(engine).transaction() as transaction:
            replay(transaction, endpoint_id, since=datetime(2026, 1, 1, tzinfo=UTC), only="all")
        assert deliverer.drain(endpoint_id) == Drained(delivered=3)
    assert receiver.handled() == 3
    assert {row["state"] for row in deliveries(engine)} == {"delivered"}


def test_it_takes_nothing_that_is_not_signed(receiver: Receiver, engine: Engine) -> None:
    (endpoint,) = rows(engine, "SELECT * FROM webhook_endpoints")
    signed = billing.webhook.sign(BODY, endpoint["secrets"][0], webhook_id="evt_1")
    old = billing.webhook.sign(BODY, endpoint["secrets"][0], webhook_id="evt_1", timestamp=1)
    other = billing.webhook.sign(BODY, f"whsec_{'QUFB' * 11}", webhook_id="evt_1")
    for headers, body in ((other, BODY), (old, BODY), (signed, BODY + " "), ({}, BODY)):
        assert httpx.post(receiver.url, content=body, headers=headers).status_code == 400
    assert httpx.post(receiver.url, content=BODY, headers=signed).status_code == 204
    assert receiver.handled() == 1
