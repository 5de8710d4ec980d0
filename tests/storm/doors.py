"""The public doors, as producers use them: HTTP, the SDK over both, and a bare message."""

import base64
import json
import uuid
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import kombu
import redis
import urllib3
from amqp.exceptions import AMQPError

from infra import billing
from tests.storm.journal import Journal

V1 = "/v1/billing"
TIMEOUT_S = 8.0
REFUSALS = (400, 404, 409, 413, 422)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Neither `accepted` nor `refused`: nobody knows, so ask again."""

    status: int | None
    body: Any = None
    code: str | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status in REFUSALS


class Door(Protocol):
    """How a producer asks. Every question and answer is in the journal."""

    answers: bool  # whether `create` says what the service thinks, or only that it was sent

    def create(self, kind: str, key: str, fields: dict[str, Any]) -> Answer: ...


class Http:
    """A plain HTTP client with an API key; nothing is tried twice behind one's back."""

    answers = True

    def __init__(self, url: str, api_key: str, journal: Journal, actor: str) -> None:
        self._url = url
        self._journal = journal
        self._actor = actor
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=TIMEOUT_S)

    def create(self, kind: str, key: str, fields: dict[str, Any]) -> Answer:
        return self.ask(
            "POST",
            f"/{kind}s",
            did=kind,
            note={"key": key, "fields": fields, "producer": self._actor},
            body=fields,
            headers={"idempotency-key": key},
        )

    def read(self, kind: str, id_: str) -> Answer:
        return self.ask("GET", f"/{kind}s/{id_}", did="read", note={"id": id_})

    def ask(
        self,
        method: str,
        path: str,
        *,
        did: str,
        note: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Answer:
        """One request below /v1/billing, and its answer."""
        number = self._journal.ask(self._actor, did, path=path, method=method, **(note or {}))
        try:
            response = self._pool.request(
                method,
                self._url + V1 + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers=self._headers | (headers or {}),
            )
            data = json.loads(response.data) if response.data else None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            self._journal.answer(number, error=type(error).__name__)
            return Answer(None)
        self._journal.answer(number, status=response.status, body=data)
        return Answer(response.status, data, data.get("code") if isinstance(data, dict) else None)


class Sdk:
    """`infra.billing`, configured for this process: over HTTP, or over the broker."""

    def __init__(self, url: str, api_key: str, journal: Journal, actor: str) -> None:
        self.answers = urlsplit(url).scheme.startswith("http")
        self._journal = journal
        self._actor = actor
        if self.answers:
            billing.configure(url=url, api_key=api_key, timeout_s=TIMEOUT_S)
        else:
            billing.configure(url=url, producer=actor, timeout_s=TIMEOUT_S)

    def create(self, kind: str, key: str, fields: dict[str, Any]) -> Answer:
        number = self._journal.ask(
            self._actor,
            kind if self.answers else "send",
            kind=kind, key=key, fields=fields, producer=self._actor,
        )  # fmt: skip
        verb = billing.charge.create if kind == "charge" else billing.refund.create
        try:
            made = dict(verb(**fields, idempotency_key=key))
        except billing.BillingError as error:
            answer = Answer(error.status, {"code": error.code}, error.code)
            self._journal.answer(
                number, status=error.status, body=answer.body, error=type(error).__name__
            )
            return answer
        # Over the broker this object is what was asked for, and no answer of the service.
        self._journal.answer(number, status=200, body=made)
        return Answer(200, made)


class Message:
    """A producer that knows docs/reference/wire.md, a broker and nothing else."""

    answers = False

    def __init__(self, url: str, journal: Journal, actor: str) -> None:
        self._url = url
        self._journal = journal
        self._actor = actor
        self._redis = None
        if urlsplit(url).scheme == "redis":
            self._redis = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)

    def create(self, kind: str, key: str, fields: dict[str, Any]) -> Answer:
        request = {**fields, "idempotency_key": key, "producer": self._actor}
        return self.send(
            f"billing.{kind}.create", request, kind=kind, key=key, fields=fields,
            producer=self._actor,
        )  # fmt: skip

    def send(self, task: str, request: dict[str, Any], **note: Any) -> Answer:
        """One message; `note` is what the journal keeps of it."""
        number = self._journal.ask(self._actor, "send", **note)
        body = json.dumps([[], request, {}]).encode()
        headers = {"lang": "go", "task": task, "id": str(uuid.uuid4())}
        try:
            if self._redis is not None:
                self._redis.lpush("payments", _envelope(body, headers))
            else:
                self._publish(body, headers)
        # As kombu raises what its client of RabbitMQ does: a broker that ends says so.
        except (redis.RedisError, kombu.exceptions.KombuError, AMQPError, OSError) as error:
            self._journal.answer(number, error=type(error).__name__)
            return Answer(None)
        self._journal.answer(number, status=200)
        return Answer(200)

    def _publish(self, body: bytes, headers: dict[str, str]) -> None:
        options = {"confirm_publish": True}
        with kombu.Connection(self._url, connect_timeout=5, transport_options=options) as link:
            link.Producer().publish(
                body, exchange="", routing_key="payments", headers=headers, mandatory=True,
                content_type="application/json", content_encoding="utf-8", delivery_mode=2,
                timeout=5, confirm_timeout=5,
            )  # fmt: skip


def _envelope(body: bytes, headers: dict[str, str]) -> str:
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {"body_encoding": "base64"},
        }
    )
