"""A whole running system of real processes on one database and one broker, with a receiver."""

import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
from sqlalchemy import create_engine, text

from infra.billing.contract.ids import id_from_key
from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.lifecycle.accepting import charges
from payments.parsing import parse
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.producer import Producer
from tests.support.programs import READY, Program
from tests.support.sink import Sink, webhook_sink
from tests.support.vault import VAULT
from tests.support.waiting import slowness, wait_for
from tests.support.web import Caller, a_key, ask
from tests.support.webhooks import LOOPBACK
from tests.support.witness import Witness


def hasty(lease_s: float = 6.0) -> dict[str, str]:
    """Times in which a test can watch a recovery, and nobody loses a lease while he works, or gives
    up a call. `House.leases_end` ends those of the dead: who uses it may have long ones."""
    lease_s *= slowness()
    return {
        "BILLING_LEASE_S": f"{lease_s:.1f}",
        "BILLING_CALL_DEADLINE_S": f"{0.45 * lease_s:.1f}",
        "BILLING_SANDBOX_TIMEOUT_MS": "200",
        # `BILLING_TEST_DISPATCH=threads make test` tries everything the other way.
        "BILLING_DISPATCH": os.environ.get("BILLING_TEST_DISPATCH", "loop"),
    }


CRASHING = "tests.crash.crashing_app"
# The module of the web process that goes with each app.
WEB = {"worker": "api", CRASHING: "tests.crash.crashing_web"}


@dataclass
class House:
    """The processes by their name in the Procfile, and everybody they deal with."""

    environ: dict[str, str]
    nursery: Nursery
    producer: Producer
    witness: Witness
    points: Path
    app: str = "worker"
    running: dict[str, Program] = field(default_factory=dict)
    started: list[Program] = field(default_factory=list)
    # Of the web process, which so is found at its address again after it died.
    port: int = field(default_factory=free_port)

    def start(self, *names: str, **environ: str) -> None:
        """Start processes, all three kinds but web unless named, and wait until they work."""
        names = names or ("worker", "webhooks", "beat")
        for name in names:
            self.running[name] = self.launch(name, **environ)
        for name in names:
            self.running[name].wait_until(READY[name])

    def launch(self, name: str, *, hostname: str | None = None, **environ: str) -> Program:
        """Start one process as the Procfile says, perhaps with a crashing app, and don't wait."""
        (self.points / name).mkdir(parents=True, exist_ok=True)
        environ = {"CRASH_POINTS": str(self.points / name), **environ}
        if name == "web":
            return self.run(name, WEB[self.app], BILLING_HTTP_PORT=str(self.port), **environ)
        arguments = {
            "worker": ["worker", "-Q", "payments", "-n", f"{hostname or 'payments'}@%h"],
            "webhooks": ["worker", "-Q", "webhooks", "-n", f"{hostname or 'webhooks'}@%h"],
            "beat": ["beat"],
        }[name]
        return self.run(name, "celery", "-A", self.app, *arguments, **environ)

    def run(self, name: str, module: str, *arguments: str, **environ: str) -> Program:
        """Run any module in the house's environment, and don't wait."""
        program = self.nursery.run(name, module, arguments, {**self.environ, **environ})
        self.started.append(program)
        return program

    @contextmanager
    def asleep(self, name: str) -> Iterator[None]:
        """The process does nothing meanwhile (SIGSTOP), so that all that is sent to it waits."""
        self.running[name].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.running[name].signal(signal.SIGCONT)

    def arm(self, name: str, point: str) -> None:
        """Let the process die the next time that it comes to this point."""
        (self.points / name / point).touch()

    def wait_for_death(self, name: str, point: str) -> None:
        """Until the process has died at the point."""
        assert self.running[name].end_of_itself() == -9
        assert not (self.points / name / point).exists()

    def leases_end(self) -> None:
        """Whatever is held was leased so much earlier that the lease is over: nobody waits for it,
        and still it is the sweep that finds it. So it is with messages that were taken from Redis,
        which are back when a worker starts."""
        # What was asked for before the lease was so, still.
        asked = "CASE WHEN cancel_requested_at <= leased_at THEN lease_expires_at - now() END"
        earlier = f"cancel_requested_at = cancel_requested_at - coalesce({asked}, '0'), "
        for table, more in (("charges", earlier), ("refunds", "")):
            with self.witness.engine.begin() as connection:
                connection.execute(
                    text(
                        f"UPDATE {table} SET {more}leased_at = leased_at - (lease_expires_at"
                        " - now()), lease_expires_at = now() WHERE lease_expires_at > now()"
                    )
                )
        if (url := self.environ["BILLING_BROKER_URL"]).startswith("redis"):
            with redis.Redis.from_url(url) as client:
                taken = client.zrange("unacked_index", 0, -1)
                if taken:
                    client.zadd("unacked_index", dict.fromkeys(taken, 1), xx=True)

    def caller(self, **options: Any) -> Caller:
        """Somebody with an API key (of these `options`), in the name of a producer that nobody else
        is; the web server is started for it unless it runs."""
        if "web" not in self.running:
            self.start("web")
        producer = f"p-{uuid.uuid4().hex[:8]}"
        key = a_key(self.witness.engine, producer, **options)
        return Caller(f"http://127.0.0.1:{self.port}", producer, key)

    def readiness(self) -> httpx.Response:
        """What the web process says of itself and of the others."""
        return ask(f"http://127.0.0.1:{self.port}/readyz")

    def charge(self, *, key: str | None = None, amount: int | None = 1999, **fields: object) -> str:
        """Send a request for a charge over the broker; returns the charge's id."""
        key = key or uuid.uuid4().hex
        request = {"amount": amount, "currency": "USD", "idempotency_key": key, **fields}
        self.producer.send("billing.charge.create", **request)
        return id_from_key("charge", producer=str(fields.get("producer", "default")), key=key)

    def refund(self, charge_id: str, *, key: str | None = None, **fields: object) -> str:
        """Send a request for a refund over the broker; returns the refund's id."""
        key = key or uuid.uuid4().hex
        request = {"charge_id": charge_id, "idempotency_key": key, **fields}
        self.producer.send("billing.refund.create", **request)
        return id_from_key("refund", producer=str(fields.get("producer", "default")), key=key)

    def cancel(self, charge_id: str, **fields: object) -> str:
        """Ask over the broker for the end of a charge; returns the message's id."""
        return self.producer.send("billing.charge.cancel", charge_id=charge_id, **fields)

    def capture(self, charge_id: str, **fields: object) -> str:
        """Ask over the broker for money of a charge; returns the message's id, which is the key."""
        return self.producer.send("billing.charge.capture", charge_id=charge_id, **fields)

    def wait_until_some_succeeded(self, ids: Sequence[str], *, more_than: int = 0) -> None:
        """Until the first of many have succeeded: asked at once for all, since with a question for
        each the others may be done, too, by the time of the answer."""
        some = "SELECT FROM charges WHERE id = ANY(:ids) AND state = 'succeeded' OFFSET :skipped"

        def succeeded() -> object:
            return self.witness.rows(some, ids=list(ids), skipped=more_than)

        wait_for(succeeded, what="the first of many to be done", every_s=0.002)

    def wait_for_phase(self, charge_id: str, phase: str | None) -> None:
        """Until the charge stands there; None = it is final."""

        def stands() -> bool:
            row = self.witness.object(charge_id)
            return row is not None and row["phase"] == phase

        wait_for(stands, what=f"{charge_id} to be {phase or 'final'}", every_s=0.05)

    def wait_until_the_end_is_asked_for(self, charge_id: str) -> None:
        """Until a cancellation is written down; whoever holds the charge meanwhile hears of it."""

        def asked_for() -> bool:
            row = self.witness.object(charge_id)
            return row is not None and row["cancel_requested_at"] is not None

        wait_for(asked_for, what="the cancellation to be recorded")

    def accept(self, *, wakes: bool = True, **fields: object) -> str:
        """Accept a charge as a door beside the broker does: the row, then a wake-up call."""
        request = parse(
            ChargeRequest,
            {"amount": 1999, "currency": "USD", "idempotency_key": uuid.uuid4().hex, **fields},
        )
        with Database(self.witness.engine).transaction() as transaction:
            (accepted,) = charges.accept(transaction, [charges.NewCharge(request, "sandbox")])
        assert isinstance(accepted, charges.Accepted)
        if wakes:
            self.producer.send("billing.charge.submit", id=request.id)
        return request.id

    def time_passes(self, id_: str) -> None:
        """So much that the sweep makes up for a wake-up call that nobody made or heard."""
        table = "charges" if id_.startswith("ch_") else "refunds"
        earlier = f"UPDATE {table} SET woken_at = woken_at - interval '1 minute' WHERE id = :id"
        self.witness.rows(f"{earlier} RETURNING 1", id=id_)

    def pids(self) -> dict[str, int]:
        """The processes that are alive."""
        return {name: one.pid for name, one in self.running.items() if one.alive}


@contextmanager
def house(
    database_url: str,
    broker_url: str,
    folder: Path,
    nursery: Nursery,
    *,
    sink: Sink | None = None,
    app: str = "worker",
    defaults: bool = False,
    **settings: str,
) -> Iterator[House]:
    """An empty house, hasty unless `defaults`; its processes end with the `with`."""
    from tests.conftest import environ_for

    haste = {} if defaults else hasty()
    environ = environ_for(database_url, broker_url, folder) | haste | settings
    # Looks at a connection before it uses it: the server may have been killed meanwhile.
    engine = create_engine(database_url, pool_pre_ping=True)
    try:
        with webhook_sink() as own_sink, Producer(broker_url) as producer:
            sink = sink or own_sink
            producer.declare()
            with Database(engine).transaction() as transaction:
                _, secret = endpoints.add(
                    transaction, url=sink.url, target_check=TargetCheck(LOOPBACK), vault=VAULT
                )
            witness = Witness(engine, sink, secret)
            home = House(environ, nursery, producer, witness, folder / "points", app)
            try:
                yield home
            finally:
                for program in home.started:
                    program.end()
    finally:
        engine.dispose()
