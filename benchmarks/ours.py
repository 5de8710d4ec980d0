"""Ours as contenders: the processes of the Procfile, set up as their operator would."""

import http.client
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from benchmarks.contender import Contender, Missing
from benchmarks.doors.caller import PATH, call, http_request
from benchmarks.doors.door import START_MAX_S, free_port, listens
from benchmarks.publisher import CeleryPublisher, Publisher, RabbitPublisher
from local.supervisor import command_of, parse_procfile
from payments.access import keys
from payments.access.encryption_keys import new_key
from payments.access.vault import Vault
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from service.database import migrate
from tests.support.acting import Database

PROCFILE = Path(__file__).parent.parent / "Procfile"
STUB = Path(__file__).parent / "stub"
LOOPBACK = "127.0.0.0/8"
ENCRYPTION_KEY = new_key()
ROLES: tuple[str, ...] = ("worker", "webhooks", "beat")  # what charges by message need
IN_FLIGHT = 200  # at the endpoint, as with the others
TASK, QUEUE = "billing.charge.create", "payments"


class Ours(Contender):
    """By message through Redis, and a processor that keeps no ledger, as with the others."""

    name = "ours"
    title = "ours, Redis"
    processor = "stub"
    roles = ROLES

    def install(self) -> None:
        engine = create_engine(self.database_url)
        migrate.upgrade(engine)
        target_check = TargetCheck([ip_network(LOOPBACK)])
        with Database(engine).transaction() as transaction:
            _, self.secret = endpoints.add(
                transaction,
                url=self.place.receiver.url,
                max_in_flight=IN_FLIGHT,
                target_check=target_check,
                vault=Vault([ENCRYPTION_KEY]),
            )
            _, self.api_key = keys.create(transaction, producer="bench")
        engine.dispose()
        self.port = free_port()

    def commands(self) -> dict[str, Sequence[str]]:
        return {
            role: command for role, command in self.all_commands().items() if role in self.roles
        }

    def all_commands(self) -> dict[str, Sequence[str]]:
        lines = parse_procfile(PROCFILE.read_text())
        return {role: command_of(line) for role, line in lines.items()}

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{STUB}:{STUB.parents[1]}",
            "STUB_LATENCY_MS": str(latency_ms),
            "BILLING_PROCESSORS": self.processor,
            "BILLING_PROCESSOR": self.processor,
            "BILLING_DATABASE_URL": self.database_url,
            "BILLING_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "BILLING_BROKER_URL": self.broker_url,
            "BILLING_DATA_DIR": str(self.place.folder / self.name),
            "BILLING_SANDBOX_LATENCY_MS": str(latency_ms),
            "BILLING_WEBHOOK_ALLOW_PRIVATE": LOOPBACK,
            "BILLING_HTTP_PORT": str(self.port),
            # All the load comes with one key, as fast as it is answered.
            "BILLING_HTTP_KEY_RATE": "0",
            "FLOWER_PORT": str(self.port + 1),
        }

    def publisher(self) -> Publisher:
        return CeleryPublisher(self.broker_url, queue=QUEUE, task=TASK)

    def unfinished(self) -> int:
        return self.count(
            "select (select count(*) from charges where state = 'pending')"
            " + (select count(*) from deliveries where state = 'pending')"
        )


class OursSandbox(Ours):
    """The same with the sandbox, whose ledger is written in transactions of its own."""

    name = "ours-sandbox"
    title = "ours, Redis, sandbox with its ledger"
    processor = "sandbox"


class OursWithoutLedger(Ours):
    """The same, but that no move is posted: what the ledger costs. The stub sees to it, as no
    setting can."""

    name = "ours-without-ledger"
    title = "ours, Redis, nothing posted in the ledger"

    def environment(self, *, latency_ms: int) -> dict[str, str]:
        return {**super().environment(latency_ms=latency_ms), "STUB_WITHOUT_LEDGER": "yes"}


class OursProfiled(Ours):
    """The same, with a database of its own, for the profiler."""

    name = "ours-profiled"


class OursRabbit(Ours):
    """The same through a quorum queue of RabbitMQ."""

    name = "ours-rabbitmq"
    title = "ours, RabbitMQ"

    def install(self) -> None:
        if self.place.rabbitmq is None:
            raise Missing("no RabbitMQ on this machine to make a virtual host on")
        super().install()
        self.broker_url = self.place.rabbitmq.url

    @property
    def servers(self) -> Mapping[str, int]:
        assert self.place.rabbitmq is not None
        return {"postgres": self.place.roots["postgres"], "rabbitmq": self.place.rabbitmq.pid}

    def publisher(self) -> Publisher:
        return RabbitPublisher(self.broker_url, queue=QUEUE, task=TASK)


class OursHttp(Ours):
    """The same, asked for over HTTP: 32 kept connections, a request at a time on each."""

    name = "ours-http"
    title = "ours, HTTP, Redis"
    roles = (*ROLES, "web")

    def publisher(self) -> Publisher:
        deadline_s = time.monotonic() + START_MAX_S
        while not listens(self.port):
            self.processes.check_alive()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{self.name} never listened\n{self.processes.log_tails()}")
            time.sleep(0.05)
        return HttpPublisher(self.port, authorization=f"Bearer {self.api_key}")


class HttpPublisher(Publisher):
    """`POST /v1/billing/charges`, each answered before the next is sent on its connection."""

    connections = 32

    def __init__(self, port: int, *, authorization: str) -> None:
        self._port, self._authorization = port, authorization
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def burst(self, keys: Sequence[str]) -> dict[str, float]:
        calls = call(
            port=self._port,
            authorization=self._authorization,
            connections=self.connections,
            keys=keys,
        )
        if refused := [answer for answer in calls.answers if answer.status != 202]:
            raise RuntimeError(f"{len(refused)} of {len(keys)} refused: {refused[0]}")
        return dict.fromkeys(keys, calls.started_s)

    def messages(self, keys: Sequence[str]) -> list[Any]:
        return [http_request(key) for key in keys]

    def send(self, messages: Sequence[Any]) -> None:
        for key, fields in messages:
            headers = {
                "authorization": self._authorization,
                "idempotency-key": key,
                "content-type": "application/json",
            }
            self._connection.request("POST", PATH, json.dumps(fields), headers)
            answer = self._connection.getresponse()
            said = answer.read()
            if answer.status != 202:
                raise RuntimeError(f"answered {answer.status}: {said!r}")

    def close(self) -> None:
        self._connection.close()
