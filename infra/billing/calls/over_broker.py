"""The broker as a way to the service: one message per request, with the broker's confirmation.

Redis answers the push; RabbitMQ confirms that the message is in its queue, and reports a missing
queue. A message may still be lost after that if Redis loses its memory: callers that need certainty
repeat the call under the same key until a webhook arrives.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from infra.billing import arguments
from infra.billing.calls.described import Ask, Asked, Change, Create, Get
from infra.billing.calls.stepwise import Publish, Steps
from infra.billing.contract.ids import Kind, id_from_key
from infra.billing.contract.messages.message import QUEUE, Message, call, message, signed
from infra.billing.contract.messages.task_names import CANCEL, CAPTURE
from infra.billing.contract.requests import request_parser
from infra.billing.contract.requests.by_kind import MODELS
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.request_fields import Asked as AskedModel
from infra.billing.contract.requests.rules import MAYBE_A_REPEAT
from infra.billing.errors import BillingError, InvalidRequest, ReadingNeedsHttp, Unavailable
from infra.billing.pending import pending

A = TypeVar("A", bound=AskedModel)

# What can't be requested by message.
_OVER_HTTP_ONLY = ("products", "prices", "currencies")
_CHANGES: Mapping[str, tuple[str, type[CaptureRequest] | type[CancelRequest]]] = {
    "capture": (CAPTURE, CaptureRequest),
    "cancel": (CANCEL, CancelRequest),
}


class OverBroker:
    """The rules of calls over a broker (see infra.billing.brokers). `where` names it for people."""

    def __init__(self, where: str, *, producer: str, signing_key: str | None = None) -> None:
        self._where = where
        self._producer = producer
        self._signing_key = signing_key

    def steps(self, asked: Asked) -> Steps[dict[str, Any]]:
        """The steps of a call, which return the pending object. Raises InvalidRequest, Unavailable,
        and ReadingNeedsHttp for everything but requests."""
        match asked:
            case Create(kind, fields, wait_s):
                _refuse_to_wait(wait_s)
                return (yield from self._create(kind, fields))
            case Change(verb, fields, wait_s):
                _refuse_to_wait(wait_s)
                return (yield from self._change(verb, fields))
            case Get():
                raise ReadingNeedsHttp(param="url")
            case Ask():
                raise _needs_http(asked)

    def batch_steps(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> Steps[list[dict[str, Any] | BillingError]]:
        """The steps of many requests in one round trip, which return for each the pending object,
        or why it was not sent."""
        asked = [self._asked(kind, fields) for fields in batch]
        good = [one for one in asked if not isinstance(one, InvalidRequest)]
        sent = iter((yield from self._answers(kind, good)) if good else ())
        return [one if isinstance(one, InvalidRequest) else next(sent) for one in asked]

    def _create(self, kind: Kind, fields: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Send the request; returns the pending object."""
        asked = self._asked(kind, fields)
        if isinstance(asked, InvalidRequest):
            raise asked
        (why,) = yield Publish([self._signed(message(kind, asked))])
        if why is not None:
            raise self._unavailable(asked, why)
        return self._pending(kind, asked)

    def _change(self, verb: str, fields: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Send the request; returns what is known of the charge."""
        task, model = _CHANGES[verb]
        asked = self._read(model, fields)
        (why,) = yield Publish([self._signed(call(task, asked.sent(), queue=QUEUE))])
        if why is not None:
            raise self._unavailable(fields, why)
        return pending("charge", asked.charge_id, {}) | {"phase": None}

    def _asked(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any] | InvalidRequest:
        """The fields of a message, or why it is not sent."""
        try:
            return self._read(MODELS[kind], fields).sent()
        except InvalidRequest as refused:
            refused.idempotency_key = arguments.key_of(fields)
            return refused

    def _read(self, model: type[A], fields: Mapping[str, Any]) -> A:
        """The request, checked by the rules that the service will apply, as an invalid message gets
        no answer. Raises InvalidRequest."""
        if "producer" in fields:
            raise InvalidRequest(
                "producer is not a field here; it is what billing.configure says", param="producer"
            )
        given = {**fields, "producer": self._producer}
        metadata = given.get("metadata")
        if type(metadata) is not dict and isinstance(metadata, Mapping):
            given["metadata"] = dict(metadata)
        return arguments.checked(request_parser.parse, model, given, day=MAYBE_A_REPEAT)

    def _answers(
        self, kind: Kind, asked: Sequence[Mapping[str, Any]]
    ) -> Steps[list[dict[str, Any] | BillingError]]:
        reasons = yield Publish([self._signed(message(kind, fields)) for fields in asked])
        return [
            self._pending(kind, fields) if why is None else self._unavailable(fields, why)
            for fields, why in zip(asked, reasons, strict=True)
        ]

    def _pending(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
        id_ = id_from_key(kind, producer=self._producer, key=fields["idempotency_key"])
        return pending(kind, id_, fields)

    def _unavailable(self, fields: Mapping[str, Any], why: str) -> Unavailable:
        return Unavailable(
            f"{self._where} did not take the request: {why}",
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


def _needs_http(asked: Ask) -> ReadingNeedsHttp:
    if asked.path and asked.path[0] in _OVER_HTTP_ONLY:
        what = asked.path[0].capitalize()
    elif asked.method == "GET":
        return ReadingNeedsHttp(param="url")
    else:
        what = "This and the like"
    return ReadingNeedsHttp(
        f"{what} need the service itself, and a broker takes charges and refunds only;"
        " configure an http:// or https:// url (BILLING_URL), and an API key.",
        param="url",
    )
