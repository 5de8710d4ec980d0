"""The broker as a way to the service: one message per request, with the broker's word for it.

Redis answers the push; RabbitMQ confirms that the message is in its queue, and says so when there
is no such queue. A message may still be lost after that when Redis loses its memory: whoever needs
certainty repeats the call under the same key until a webhook tells of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from infra.billing import arguments
from infra.billing.broker_publisher import Post
from infra.billing.contract.ids import Kind, id_from_key
from infra.billing.contract.requests import reading
from infra.billing.contract.requests.by_kind import CANCEL_TASK, CAPTURE_TASK, MODELS
from infra.billing.contract.requests.cancel import CancelRequest
from infra.billing.contract.requests.capture import CaptureRequest
from infra.billing.contract.requests.fields import Asked
from infra.billing.contract.requests.rules import MAYBE_A_REPEAT
from infra.billing.errors import BillingError, InvalidRequest, ReadingNeedsHttp, Unavailable
from infra.billing.message import QUEUE, Message, call, message, signed
from infra.billing.pending import pending

A = TypeVar("A", bound=Asked)

# What no message can ask for, be it made or read.
_OVER_HTTP_ONLY = ("products", "prices", "currencies")


class Broker:
    """A `Transport` over a broker (see infra.billing.brokers)."""

    def __init__(
        self, url: str, *, timeout_s: float, producer: str, signing_key: str | None = None
    ) -> None:
        self._post = Post(url, timeout_s=timeout_s)
        self._producer = producer
        self._signing_key = signing_key

    def create(
        self, kind: Kind, fields: Mapping[str, Any], *, wait_s: float | None = None
    ) -> dict[str, Any]:
        """Send the request; answers with the pending object. Raises InvalidRequest, Unavailable."""
        _refuse_to_wait(wait_s)
        (answer,) = self.create_batch(kind, [fields])
        if isinstance(answer, BillingError):
            raise answer
        return answer

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        """Send all in one round trip; for each the pending object, or why it was not sent."""
        asked = [self._asked(kind, fields) for fields in batch]
        good = [one for one in asked if not isinstance(one, InvalidRequest)]
        told = iter(self._answers(kind, good) if good else ())
        return [one if isinstance(one, InvalidRequest) else next(told) for one in asked]

    def capture(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Send the request; answers with what is known of the charge. Raises InvalidRequest,
        Unavailable."""
        return self._about(CAPTURE_TASK, CaptureRequest, fields, wait_s)

    def cancel(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Likewise."""
        return self._about(CANCEL_TASK, CancelRequest, fields, wait_s)

    def _about(
        self,
        task: str,
        model: type[CaptureRequest] | type[CancelRequest],
        fields: Mapping[str, Any],
        wait_s: float | None,
    ) -> dict[str, Any]:
        _refuse_to_wait(wait_s)
        asked = self._read(model, fields)
        (why,) = self._post.send([self._signed(call(task, asked.sent(), queue=QUEUE))])
        if why is not None:
            raise self._unavailable(fields, why)
        return pending("charge", asked.charge_id, {}) | {"phase": None}

    def get(self, kind: Kind, id_: str, *, wait_s: float | None = None) -> NoReturn:
        raise ReadingNeedsHttp(param="url")

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> NoReturn:
        if path and path[0] in _OVER_HTTP_ONLY:
            what = path[0].capitalize()
        elif method == "GET":
            raise ReadingNeedsHttp(param="url")
        else:
            what = "This and the like"
        raise ReadingNeedsHttp(
            f"{what} need the service itself, and a broker takes charges and refunds only;"
            " configure an http:// or https:// url (BILLING_URL), and an API key.",
            param="url",
        )

    def close(self) -> None:
        self._post.close()

    def _asked(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any] | InvalidRequest:
        """What a message says, or why it is not sent."""
        try:
            return self._read(MODELS[kind], fields).sent()
        except InvalidRequest as refused:
            refused.idempotency_key = arguments.key_of(fields)
            return refused

    def _read(self, model: type[A], fields: Mapping[str, Any]) -> A:
        """What is asked, by the rules that the service will judge it by: nobody answers a message
        that is wrong. Raises InvalidRequest."""
        if "producer" in fields:
            raise InvalidRequest(
                "producer is not a field here; it is what billing.configure says", param="producer"
            )
        given = {**fields, "producer": self._producer}
        metadata = given.get("metadata")
        if type(metadata) is not dict and isinstance(metadata, Mapping):
            given["metadata"] = dict(metadata)
        return arguments.checked(reading.parse, model, given, day=MAYBE_A_REPEAT)

    def _answers(
        self, kind: Kind, asked: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        reasons = self._post.send([self._signed(message(kind, fields)) for fields in asked])
        return [
            self._pending(kind, fields) if why is None else self._unavailable(fields, why)
            for fields, why in zip(asked, reasons, strict=True)
        ]

    def _pending(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
        id_ = id_from_key(kind, producer=self._producer, key=fields["idempotency_key"])
        return pending(kind, id_, fields)

    def _unavailable(self, fields: Mapping[str, Any], why: str) -> Unavailable:
        return Unavailable(
            f"{self._post.where()} did not take the request: {why}",
            idempotency_key=arguments.key_of(fields),
        )

    def _signed(self, asked: Message) -> Message:
        return asked if self._signing_key is None else signed(asked, self._signing_key)


def _refuse_to_wait(wait_s: float | None) -> None:
    if wait_s is not None:
        raise ReadingNeedsHttp(
            "A broker tells nothing of how it ends; leave wait_s out, or configure"
            " an http:// or https:// url.",
            param="wait_s",
        )
