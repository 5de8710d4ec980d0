"""What all processes say while requests come in over HTTP, at their most talkative: nothing of what
a request is about, wherever in a request somebody put it."""

import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from infra import billing
from local.embedded.throwaway import Servers
from payments.access import keys
from tests.conftest import FAILED, tell_the_last_of
from tests.support import databases
from tests.support.acting import Database
from tests.support.house import House, house
from tests.support.nursery import Nursery
from tests.support.sdk import sdk_of
from tests.support.waiting import wait_for
from tests.support.web import CHARGE, Caller, ask

CARD = "4242424242424242"
NAME = "telltale-1@example.org"
TELL_TALES = {
    "customer_id": "cus-telltale-2",
    "payment_method_id": "pm-telltale-3",
    "description": "Ada's telltale-4",
    "reference": "order telltale-5",
    "metadata": {"telltale_6": "telltale-7"},
}
GOOD = {**CHARGE, **TELL_TALES}
PROCESSES = ("web", "worker", "webhooks", "beat")
HEADERS = (
    "x-request-id", "user-agent", "referer", "cookie", "accept", "host", "traceparent",
    "x-forwarded-for", "content-type", "idempotency-key",
)  # fmt: skip
TRIES = (
    "SELECT FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id"
    " WHERE d.event_id = :id"
)

# A bug that no test found: the database refuses a row that the rules let through, and its error
# quotes all of it.
BUG = """
ALTER TABLE charges ADD CONSTRAINT no_such_customer CHECK (customer_id <> 'cus-telltale-bug')
"""


@pytest.fixture(params=["console", "json"])
def town(
    request: pytest.FixtureRequest, own_servers: Servers, nursery: Nursery, tmp_path: Path
) -> Iterator[House]:
    """A house whose processes say all they have to say, in each format."""
    with (
        databases.fresh(own_servers.postgres) as url,
        house(
            url,
            own_servers.redis.url,
            tmp_path,
            nursery,
            BILLING_LOG_LEVEL="debug",
            BILLING_LOG_FORMAT=request.param,
        ) as running,
    ):
        running.start(*PROCESSES)
        yield running
        if request.node.stash.get(FAILED, False):
            tell_the_last_of(running.started)


@pytest.fixture
def caller(town: House) -> Iterator[Caller]:
    with town.caller() as client_:
        yield client_


def in_bodies(caller: Caller) -> None:
    """Good ones, those that contradict each other, and cards and customers in every wrong place."""
    key = {"idempotency-key": NAME}
    charge_id = caller.post("/charges", json=GOOD, headers=key).json()["charge_id"]
    answers = [
        caller.post("/charges", json=GOOD, headers=key),
        caller.post("/charges", json={**GOOD, "amount": 5}, headers=key),
        caller.post("/charges", json={**GOOD, "idempotency_key": "telltale 8"}),
        caller.post("/charges", json={**GOOD, "idempotency_key": NAME}, headers={"prefer": NAME}),
        caller.refund(charge_id, NAME, reason="telltale-9", metadata={NAME: CARD}, amount=1),
        caller.refund(charge_id, amount=99_999_999, reason="telltale-9"),
        caller.refund(NAME),
        caller.refund(CARD),
    ]
    answers += [
        caller.charge(**{name: value})
        for name in ("amount", "currency", "customer_id", "payment_method_id", "metadata")
        for value in (CARD, int(CARD), NAME, [NAME], {NAME: {CARD: CARD}})
    ]
    answers += [
        caller.charge(CARD),
        caller.charge(**{NAME: 1, CARD: 2}),
        caller.charge(producer=NAME),
        caller.charge(headers={"prefer": f"wait={CARD}"}, amount=CARD),
        *(
            caller.post("/charges", content=body, headers={"content-type": f"text/{NAME}"})
            for body in (
                f'{{"telltale": {CARD}'.encode(),
                f'"{NAME}"'.encode(),
                f'[{{"{NAME}": {CARD}}}]'.encode(),
                f'{{"amount": {CARD}, "amount": "{NAME}"}}'.encode(),
                b"telltale\xff\xfe" + CARD.encode(),
                b"telltale" * 20_000,
                b'{"telltale@": ' + b"[" * 50_000,
            )
        ),
    ]
    assert {answer.status_code for answer in answers} == {200, 202, 400, 409, 413, 422}


def in_addresses(caller: Caller) -> None:
    """In the path, in the query, and in what else comes before the body."""
    for place in (NAME, CARD, "telltale/../telltale", f"ch_{CARD}", f"ch_{'a' * 32}?x={NAME}"):
        for path in (f"/charges/{place}", f"/refunds/{place}", f"/charges/{place}/timeline"):
            caller.get(path)
            caller.put(path, json=GOOD)
        caller.get(f"{caller.url}/{place}")
        caller.get(f"/webhook-endpoints/{place}")
        caller.delete(f"/webhook-endpoints/{place}")
    for name in ("customer_id", "reference", "state", "limit", "cursor", "created_after", NAME):
        for value in (NAME, CARD):
            caller.get("/charges", params={name: value})
            caller.get("/events", params={name: value, "after": value})
            caller.get("/webhook-endpoints", params={name: value})
    for name in (*HEADERS, NAME.replace("@", "-")):
        for value in (NAME, CARD):
            caller.get("/charges", headers={name: value})
            caller.charge(headers={name: value}, amount=0)


def in_keys(caller: Caller, town: House) -> list[str]:
    """Right, wrong, revoked and no API keys at all; returns what is secret in them."""
    with town.caller() as other:
        assert other.get("/charges").status_code == 200
        id_, secret = other.key.rsplit("_", 1)
        with Database(town.witness.engine).transaction() as transaction:
            keys.revoke(transaction, id_)
        mine, my_secret = caller.key.rsplit("_", 1)
        for shown in (other.key, f"{mine}_{secret}", f"{id_}_{my_secret}", secret, NAME, CARD):
            for scheme in ("Bearer ", "Basic ", "Bearer  x ", ""):
                header = {"authorization": f"{scheme}{shown}"}
                assert ask(f"{caller.base_url}charges", headers=header).is_client_error
    return [secret, my_secret]


def in_what_is_not_even_http(port: int) -> None:
    """Straight into the socket: what the server's own parser stumbles over."""
    for line in (
        f"{NAME} {CARD}\r\n\r\n",
        f"GET /{NAME} {CARD} HTTP/1.1\r\n\r\n",
        f"GET /v1/billing/charges HTTP/1.1\r\n{NAME}\r\n\r\n",
        (
            f"GET /{NAME} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\n\r\n"
        ),
        f"POST /v1/billing/charges HTTP/1.1\r\ncontent-length: {NAME}\r\n\r\n{CARD}",
        f"POST /{NAME} HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{CARD}\r\n",
        f"GET /{'telltale' * 20_000} HTTP/1.1\r\n\r\n",
        f"POST /v1/billing/charges HTTP/1.1\r\ncontent-length: 99\r\n\r\n{CARD}",  # and hangs up
    ):
        with socket.create_connection(("127.0.0.1", port), 5) as link, suppress(OSError):
            link.sendall(line.encode())
            link.shutdown(socket.SHUT_WR)
            while link.recv(65_536):
                pass


def at_endpoints(caller: Caller, town: House) -> list[str]:
    """URLs that are as good as passwords, of which none is reached; returns the secrets shown."""
    secrets = []
    for url in ("http://127.0.0.1:9/telltale?token=telltale", "http://telltale.invalid/"):
        asked = {"url": url, "description": "telltale"}
        made = caller.post("/webhook-endpoints", json=asked).json()
        place = f"/webhook-endpoints/{made['id']}"
        secrets += [made["secret"], caller.post(f"{place}/rotate-secret").json()["secret"]]
        for wrong in (NAME, f"http://telltale:{CARD}@127.0.0.1/", "http://10.0.0.1/telltale", CARD):
            assert caller.post("/webhook-endpoints", json={**asked, "url": wrong}).is_client_error
            caller.patch(place, json={"url": wrong, "description": NAME, NAME: CARD})
        caller.post(f"{place}/replay", json={"event_ids": [NAME, CARD]})
        caller.post(f"{place}/replay", json={"since": CARD, NAME: 1})
        caller.post(f"{place}/rotate-secret", json={"overlap_s": CARD})
        ping = caller.post(f"{place}/ping").json()["event_id"]
        wait_for(lambda id_=ping: town.witness.rows(TRIES, id=id_), what="a try to deliver")
        assert caller.delete(place).status_code == 204
    return secrets


def in_an_error_of_ours(caller: Caller, town: House) -> None:
    """A bug whose error quotes the request is a 500, and in the log its place in the code."""
    with town.witness.engine.begin() as connection:
        connection.execute(text(BUG))
    answer = caller.charge(NAME, **{**TELL_TALES, "customer_id": "cus-telltale-bug"})
    assert answer.status_code == 500
    assert "telltale" not in answer.text


def in_outages(caller: Caller, town: House, servers: Servers) -> None:
    """The database is down, then the broker."""
    wanted: dict[str, Any] = {**TELL_TALES, "reference": "telltale-10"}
    servers.postgres.crash()
    assert caller.charge("telltale-11", **wanted).status_code == 503
    assert caller.get("/charges", params={"customer_id": NAME}).status_code == 503
    servers.postgres.start()
    wait_for(lambda: caller.charge("telltale-11", **wanted).status_code == 202, what="the database")
    servers.redis.crash()
    unheard = caller.charge("telltale-12", customer_id=NAME)
    assert unheard.status_code == 202
    town.running["web"].wait_until("broker unavailable")
    servers.redis.start()
    town.time_passes(unheard.json()["charge_id"])


def with_the_sdk(caller: Caller) -> None:
    """The same from a program that has the SDK."""
    with sdk_of(caller):
        charge = billing.charge.create(
            **GOOD | {"reference": "telltale 13", "idempotency_key": "telltale 14"}
        )
        billing.refund.create(charge_id=charge.charge_id, amount=1, reason="telltale")
        assert billing.charge.list(customer_id=TELL_TALES["customer_id"]).data
        for wrong in (
            lambda: billing.charge.create(**CHARGE, idempotency_key="telltale 14"),
            lambda: billing.charge.create(
                **CHARGE, payment_method_id=CARD, reference="telltale 13"
            ),
            lambda: billing.charge.list(state=NAME),
            lambda: billing.charge.get(CARD),
        ):
            with pytest.raises(billing.BillingError) as refused:
                wrong()
            assert "telltale" not in str(refused.value)
            assert CARD not in str(refused.value)
        billing.configure(url=caller.url, api_key="telltale")
        with pytest.raises(billing.Unauthenticated):
            billing.charge.create(**GOOD)


def test_no_line_of_any_process_tells_of_a_request_even_at_debug(
    town: House, caller: Caller, own_servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    in_bodies(caller)
    in_addresses(caller)
    secrets = in_keys(caller, town)
    in_what_is_not_even_http(town.port)
    secrets += at_endpoints(caller, town)
    in_an_error_of_ours(caller, town)
    in_outages(caller, town, own_servers)
    caplog.set_level(logging.DEBUG)
    with_the_sdk(caller)
    # HTTP libraries name every URL at debug. Who turns that on does it in a program of their own.
    said_by_sdk = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore", "urllib3"))
        or record.levelno > logging.INFO
    ]
    wait_for(lambda: is_quiet(town), what="quiet")

    for program in town.running.values():
        assert program.stop() == 0
    lines = {name: program.output for name, program in town.running.items()}
    assert is_talkative(lines["web"])
    lines |= {"the SDK": "\n".join(said_by_sdk)}
    lines |= {server.name: server.log_path.read_text() for server in servers_of(own_servers)}
    for name, said in lines.items():
        for secret in (*secrets, "telltale", CARD):
            found = [line for line in said.splitlines() if secret in line]
            assert not found, f"{name} told of it: {found[:3]}"


def is_quiet(town: House) -> bool:
    """Whether all is done that ever will be: one endpoint was deleted with what it had to get."""
    assert not (left := town.witness.open()), [town.witness.look(id_) for id_ in left]
    waiting = town.witness.rows("SELECT * FROM deliveries WHERE state = 'pending'")
    assert not waiting, waiting
    return True


def is_talkative(said: str) -> bool:
    """Whether the door spoke of everything that happened, or all this would prove nothing."""
    return all(
        words in said
        for words in (
            "answered",
            "request refused",
            "request failed",
            "database unavailable",
            "broker unavailable",
            "unreadable_request",
            "debug",
        )
    )


def servers_of(servers: Servers) -> tuple[Any, ...]:
    return servers.postgres, servers.redis
