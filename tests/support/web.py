"""The HTTP door as a real process, and a caller with a key of its own."""

import re
import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
from sqlalchemy import Engine

from payments.access import keys
from tests.support.acting import Database
from tests.support.nursery import Nursery
from tests.support.programs import READY, Program
from tests.support.waiting import patience_s, wait_for

V1 = "/v1/billing"
CHARGE = {"amount": 1999, "currency": "USD"}
# Nobody here speaks TLS, and to read the world's certificates takes longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Web:
    """A web process that listens, and where it does."""

    program: Program
    engine: Engine
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.program.wait_until(READY["web"])
        found = re.search(r"url=(\S+)", self.program.output)
        assert found
        self.url = found[1]

    def caller(self, producer: str | None = None, **options: Any) -> "Caller":
        """Somebody with a key; in the name of a producer that nobody else is, unless given."""
        name = producer or f"p-{uuid.uuid4().hex[:8]}"
        return Caller(self.url, name, a_key(self.engine, name, **options))


class Caller(httpx.Client):
    """A client of the API with its key; paths are below /v1/billing."""

    def __init__(self, url: str, producer: str, key: str) -> None:
        super().__init__(
            base_url=url + V1,
            headers={"authorization": f"Bearer {key}"},
            timeout=patience_s(),
            trust_env=False,
            verify=NO_TLS,
            # The pool may close a connection that it has just given to another thread, at the
            # moment when it expires. So it never does; a connection that the server closed is seen.
            limits=httpx.Limits(max_connections=200, keepalive_expiry=None),
        )
        self.url = url
        self.producer = producer
        self.key = key

    def charge(
        self, key: str | None = None, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """POST /charges under a key."""
        named = {"idempotency-key": key or uuid.uuid4().hex, **(headers or {})}
        return self.post("/charges", json={**CHARGE, **fields}, headers=named)

    def product(self, **fields: Any) -> str:
        """The id of a product that is made."""
        made = self.post("/products", json={"name": "Tea", **fields})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def price(self, **fields: Any) -> dict[str, Any]:
        """A price that is made, of 20.00 USD and a product of its own unless said otherwise."""
        fields.setdefault("product_id", self.product())
        if "tiers" not in fields:
            fields.setdefault("unit_amount", "2000")
        made = self.post("/prices", json={"currency_id": "cur_usd", **fields})
        assert made.status_code == 201, made.text
        price: dict[str, Any] = made.json()
        return price

    def buy(
        self, price_id: str, quantity: int, key: str | None = None, **fields: Any
    ) -> httpx.Response:
        """POST /charges by a price."""
        named = {"idempotency-key": key or uuid.uuid4().hex}
        asked = {"price_id": price_id, "quantity": quantity, **fields}
        return self.post("/charges", json=asked, headers=named)

    def refund(self, charge_id: str, key: str | None = None, **fields: Any) -> httpx.Response:
        """POST /refunds under a key."""
        named = {"idempotency-key": key or uuid.uuid4().hex}
        return self.post("/refunds", json={"charge_id": charge_id, **fields}, headers=named)


def ask(url: str, **options: Any) -> httpx.Response:
    """GET, by somebody without a key, who waits as patiently as all tests do."""
    return httpx.get(url, timeout=patience_s(), trust_env=False, verify=NO_TLS, **options)


def insist(call: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that isn't 503, which whoever wants something repeats under the same key:
    web says so when the database takes longer than its limits, and a router when web does. Those
    that said 503 are its `history`."""
    busy: list[httpx.Response] = []

    def again() -> httpx.Response:
        answer = call()
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            busy.append(answer)
        return answer

    answer = wait_for(
        again,
        until=lambda one: one.status_code != HTTPStatus.SERVICE_UNAVAILABLE,
        what="an answer that isn't 503",
        every_s=0.1,
    )
    answer.history = busy
    return answer


def made_once(answers: Sequence[httpx.Response], *, status: int = 202) -> bool:
    """Whether what was asked for under one key was made once, by its answers from `insist`: one of
    them says so, and all others that it was there. None says so only if somebody heard 503: it may
    have been made by then."""
    told = Counter(answer.status_code for answer in answers)
    made = told.pop(status, 0)
    was_busy = any(answer.history for answer in answers)
    return told.keys() <= {HTTPStatus.OK} and (made == 1 or (made == 0 and was_busy))


def nobody(url: httpx.URL | str, **options: Any) -> httpx.Client:
    """The same as a client, which keeps its cookies."""
    return httpx.Client(
        base_url=url, timeout=patience_s(), trust_env=False, verify=NO_TLS, **options
    )


def a_key(engine: Engine, producer: str, **options: Any) -> str:
    """A fresh API key."""
    with Database(engine).transaction() as transaction:
        return keys.create(transaction, producer=producer, **options)[1]


@contextmanager
def web(
    nursery: Nursery, environ: Mapping[str, str], engine: Engine, *, module: str = "api"
) -> Iterator[Web]:
    """A web process on a port that is free, until the end of the `with`."""
    program = nursery.run("web", module, [], {**environ, "BILLING_HTTP_PORT": "0"})
    try:
        yield Web(program, engine)
    finally:
        program.end()
