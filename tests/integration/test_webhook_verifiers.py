"""Real deliveries, of a real process, are verified by the libraries that receivers use: in Python
and in Node, also while secrets are replaced under load."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import standardwebhooks
from sqlalchemy import Engine
from svix.webhooks import Webhook as SvixWebhook

from infra import billing
from payments.webhooks import endpoints
from tests.support import node as node_support
from tests.support.acting import Database
from tests.support.node import Node
from tests.support.programs import Programs
from tests.support.sink import Answer, Received, Sink
from tests.support.vault import VAULT
from tests.support.waiting import wait_for
from tests.support.webhooks import an_endpoint, attempts, events_happen, rows

ROTATIONS = 3
BURST = 20  # events of one transaction, one transaction after the other
BETWEEN = 200  # webhooks between two rotations, at least

VERIFIERS: dict[str, Callable[[str, bytes, dict[str, str]], object]] = {
    "standardwebhooks": lambda secret, body, headers: standardwebhooks.Webhook(secret).verify(
        body, headers
    ),
    "svix": lambda secret, body, headers: SvixWebhook(secret).verify(body, headers),
    "billing": lambda secret, body, headers: billing.webhook.verify(body, headers, secret),
}

# Reads what came from a file; prints what each library says of each, and of each with another body.
IN_NODE = """
import { readFileSync } from "node:fs";
import * as standard from "standardwebhooks";
import * as svix from "svix";

const came = JSON.parse(readFileSync(process.env.CAME));
const told = {};
for (const [name, { Webhook }] of Object.entries({ standard, svix })) {
  const is = (secret, body, headers) => {
    try { new Webhook(secret).verify(body, headers); return true; } catch { return false; }
  };
  told[name] = { verified: 0, refused: 0 };
  for (const { secret, body, headers } of came) {
    const bytes = Buffer.from(body, "base64").toString();
    if (is(secret, bytes, headers)) told[name].verified += 1;
    if (!is(secret, bytes + " ", headers)) told[name].refused += 1;
  }
}
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A project with the two libraries."""
    return node_support.install(tmp_path_factory.mktemp("node"))


class Receiver:
    """Has one secret at a time, and refuses what one of the libraries does not verify with it."""

    def __init__(self, sink: Sink, secret: str) -> None:
        self.secret, self.sink = secret, sink
        self.came: list[tuple[str, Received]] = []
        self.wrong: list[str] = []
        sink.answer = self.answer

    def answer(self, received: Received) -> Answer:
        secret = self.secret
        headers = dict(received.headers)
        for name, verify in VERIFIERS.items():
            try:
                verify(secret, received.body, headers)
            except Exception as error:  # noqa: BLE001  # each library has its own
                self.wrong.append(f"{name}: {error!r}")
                return Answer(400)
        self.came.append((secret, received))
        return Answer()


@contextmanager
def load(engine: Engine) -> Iterator[None]:
    """Events happen all the time."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(0.05):
            events_happen(engine, BURST)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def rotate(engine: Engine, endpoint_id: str) -> str:
    with Database(engine).transaction() as transaction:
        return endpoints.rotate_secret(transaction, endpoint_id, vault=VAULT, overlap_s=3600)[1]


def test_every_delivery_is_verified_by_every_library_while_secrets_are_replaced_under_load(
    programs: Programs, engine: Engine, sink: Sink, node: Node
) -> None:
    endpoint = an_endpoint(engine, sink.url, max_in_flight=64)
    receiver = Receiver(sink, endpoint.secrets[0])
    programs.start_all("webhooks", "beat")

    def undelivered_up_to(last: int) -> int:
        (row,) = rows(
            engine,
            "SELECT count(*) AS n FROM deliveries WHERE id <= :last AND state <> 'delivered'",
            last=last,
        )
        return int(row["n"])

    def more_webhooks() -> None:
        enough = len(receiver.came) + BETWEEN
        wait_for(lambda: len(receiver.came) >= enough, what="webhooks")

    with load(engine):
        for _ in range(ROTATIONS):
            more_webhooks()
            new = rotate(engine, endpoint.id)
            (row,) = rows(engine, "SELECT max(id) AS last FROM deliveries")
            last = row["last"]
            # What was under way before the rotation knows the older secret alone.
            wait_for(lambda last=last: undelivered_up_to(last) == 0, what="those from before")
            receiver.secret = new
        more_webhooks()  # with the last secret, too: all that came may be from before
    wait_for(lambda: undelivered_up_to(2**62) == 0, what="the rest to be delivered")

    assert receiver.wrong == []
    assert {row["status_code"] for row in attempts(engine)} == {204}
    signatures = {len(one.headers["webhook-signature"].split()) for _, one in receiver.came}
    assert signatures == {1, 2}
    assert len({secret for secret, _ in receiver.came}) == ROTATIONS + 1
    _assert_verified_in_node(node, receiver)


def _assert_verified_in_node(node: Node, receiver: Receiver) -> None:
    came = [
        {
            "secret": secret,
            "body": base64.b64encode(one.body).decode(),
            "headers": dict(one.headers),
        }
        for secret, one in receiver.came
    ]
    file = node.folder / "came.json"
    file.write_text(json.dumps(came))
    told = json.loads(node.run("verify.mjs", IN_NODE, {"CAME": str(file)}))
    everything = {"verified": len(came), "refused": len(came)}
    assert told == {"standard": everything, "svix": everything}
