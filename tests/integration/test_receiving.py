"""The receivers of docs/how-to/receive-webhooks.md, run as they stand against the real sender."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from infra import billing
from payments.webhooks import endpoints
from payments.webhooks.draining.drains import Drained
from payments.webhooks.outbox import Fact, publish
from payments.webhooks.replays import replay
from payments.webhooks.target import TargetCheck
from tests.support import children
from tests.support import node as node_support
from tests.support.acting import Database
from tests.support.node import Node
from tests.support.ports import free_port
from tests.support.programs import ROOT
from tests.support.vault import VAULT
from tests.support.waiting import patience_s, wait_for
from tests.support.web import ask
from tests.support.webhooks import LOOPBACK, a_deliverer, an_endpoint, deliveries, rows

PAGE = (ROOT / "docs/how-to/receive-webhooks.md").read_text()
_FILES = r"^```(?:python\n#|js\n//) (\w+\.m?\w+)\n(.*?)^```$"
FILES = dict(re.findall(_FILES, PAGE, re.DOTALL | re.MULTILINE))
# As the page says to start them.
COMMANDS: dict[str, Sequence[str]] = {
    "fastapi": ("uvicorn", "fastapi_receiver:app", "--port"),
    "django": ("django_receiver.py", "runserver", "--noreload"),
    "flask": ("flask", "--app", "flask_receiver", "run", "--port"),
    "express": ("express_receiver.mjs",),
}
ON_POSTGRESQL = ("fastapi", "express")


@dataclass(frozen=True)
class Receiver:
    """One of them, running. `books` opens what it keeps."""

    url: str
    endpoint_id: str
    secret: str
    events: str  # the table of the ids that it has handled
    books: Callable[[], Any]

    def kept(self) -> dict[str, str]:
        """Of each payment, what its newest event said."""
        return dict(self._read("SELECT id, state FROM payments"))

    def handled(self) -> list[str]:
        return [row[0] for row in self._read(f"SELECT event_id FROM {self.events}")]

    def _read(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.books()) as books:
            found: list[tuple[Any, ...]] = books.execute(statement).fetchall()
            return found


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A project with the packages that the page says to install."""
    return node_support.install(tmp_path_factory.mktemp("node"))


@pytest.fixture(params=COMMANDS)
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine, empty_database_url: str
) -> Iterator[Receiver]:
    """Each in turn, in a folder with what the page says, and an endpoint for it."""
    name, port = str(request.param), free_port()
    url = f"http://127.0.0.1:{port}/hooks"
    endpoint = an_endpoint(engine, url)
    books_url = empty_database_url.replace("postgresql+psycopg:", "postgresql:")
    environ = {
        "BILLING_WEBHOOK_SECRET": endpoint.secrets[0],
        "BOOKS": str(tmp_path / "books.sqlite"),
        "DATABASE_URL": books_url,
        "PORT": str(port),
    }
    with (tmp_path / "log").open("w") as log:
        if name == "express":
            project: Node = request.getfixturevalue("node")
            (program,) = COMMANDS[name]
            running = project.start(program, FILES[program], environ, stdout=log, stderr=log)
        else:
            running = _start_python(COMMANDS[name], port, environ, tmp_path, log)
    try:
        wait_for(lambda: _listens(url, running, tmp_path / "log"), what=f"{name} to listen")
        yield Receiver(
            url,
            endpoint.id,
            endpoint.secrets[0],
            "handled" if name == "express" else "billing_inbox",
            (lambda: psycopg.connect(books_url))
            if name in ON_POSTGRESQL
            else (lambda: sqlite3.connect(tmp_path / "books.sqlite")),
        )
    finally:
        running.kill()
        running.wait(patience_s())


def _start_python(
    command: Sequence[str], port: int, environ: Mapping[str, str], folder: Path, log: Any
) -> "subprocess.Popen[bytes]":
    for file, code in FILES.items():
        if file.endswith(".py"):
            (folder / file).write_text(code)
    program, *arguments = command
    python = [sys.executable, *([] if program.endswith(".py") else ["-m"]), program]
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("BILLING_")}
    return children.start(
        [*python, *arguments, str(port)],
        cwd=folder,
        env={**inherited, **environ, "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=log,
    )


def _listens(url: str, running: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert running.poll() is None or pytest.fail(log.read_text())
    try:
        ask(url)
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
    # One after the other, the newer of ch_2 first: events overtake each other.
    with Database(engine).transaction() as transaction:
        endpoints.update(
            transaction,
            receiver.endpoint_id,
            changes={"max_in_flight": 1, "event_types": ["charge.pending", "charge.succeeded"]},
            target_check=TargetCheck(LOOPBACK),
            vault=VAULT,
        )
    happen(engine, ("ch_1", 2, "succeeded"), ("ch_2", 2, "succeeded"), ("ch_2", 1, "pending"))
    with a_deliverer(engine) as deliverer:
        assert deliverer.drain(receiver.endpoint_id) == Drained(delivered=3)
        assert receiver.kept() == {"ch_1": "succeeded", "ch_2": "succeeded"}
        with Database(engine).transaction() as transaction:
            since = datetime(2026, 1, 1, tzinfo=UTC)
            replay(transaction, receiver.endpoint_id, since=since, only="all")
        assert deliverer.drain(receiver.endpoint_id) == Drained(delivered=3)
    assert len(receiver.handled()) == 3
    assert {row["state"] for row in deliveries(engine)} == {"delivered"}
    assert rows(engine, "SELECT 1 FROM delivery_attempts WHERE status_code <> 204") == []


def test_it_gets_the_best_grade(receiver: Receiver) -> None:
    report = billing.webhook.check(
        receiver.url,
        receiver.secret,
        handled=lambda event_id: receiver.handled().count(event_id),
        answer_s=patience_s(),
    )
    assert report.faults == []
    assert report.grade == "A"
    accepted = {
        id_ for one in report.tried if one.case.expects == "accepted" for id_ in one.event_ids
    }
    assert set(receiver.handled()) == accepted
    assert receiver.kept() == {}


def test_the_page_shows_a_receiver_for_each_framework() -> None:
    assert {file.split("_")[0] for file in FILES} == set(COMMANDS)
    for command in COMMANDS.values():
        assert " ".join(command[:2]) in PAGE
