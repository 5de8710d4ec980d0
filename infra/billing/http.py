"""HTTP as a way to the service: every verb, tried again under the same key until its deadline."""

import json
import os
import platform
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4
from weakref import WeakSet

from infra.billing import arguments, retries
from infra.billing.base_url import Root
from infra.billing.contract.ids import Kind
from infra.billing.contract.retry_after import retry_after_s
from infra.billing.errors import BillingError, Unavailable
from infra.billing.http_transport import Answer, NoAnswer, Wire
from infra.billing.parallel import side_by_side
from infra.billing.problems import error_of
from infra.billing.retries import Failure
from infra.billing.values import carried, segment
from infra.billing.version import __version__

USER_AGENT = f"infra.billing/{__version__} python/{platform.python_version()}"
# The service waits no longer than this for a final state; who wants to wait longer asks again.
PREFER_MAX_S = 30
# After an answer that is not final yet: the pause before the next question, which matters only
# when the service did not wait as it was asked to.
POLL_S = 0.25

# Other keys travel in the body: of a header, proxies and servers disagree about the encoding, the
# quotes, and the spaces, and another key would be another charge.
_KEY_OF_HEADER = re.compile(r"[!#-~]{1,255}")


class Exchanges(Protocol):
    """What carries one request: `infra.billing.http_transport.Wire`, or a test's."""

    def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Answer: ...

    def close(self) -> None: ...

    def after_fork(self) -> None: ...


@dataclass(slots=True)
class Call:
    """A request with all its tries: the same key and the same id on each of them."""

    method: str
    path: str
    ends_at: float
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None
    # What an answer must have to be one of ours.
    expects: str | None = None
    # The service is asked to wait for a final state until then, a part of the whole time.
    waits_until: float = 0.0
    # Whether it may be done twice.
    repeatable: bool = True
    id: str = field(default_factory=lambda: uuid4().hex)
    tries: int = 0
    may_have_arrived: bool = False


class Http:
    """A `Transport` over http:// or https://."""

    def __init__(
        self,
        root: Root,
        *,
        api_key: str,
        timeout_s: float,
        wire: Exchanges | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._root = root
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._wire = Wire(root) if wire is None else wire
        self._clock, self._sleep, self._dice = clock, sleep, dice
        _https.add(self)

    def create(
        self, kind: Kind, fields: Mapping[str, Any], *, wait_s: float | None = None
    ) -> dict[str, Any]:
        """Send the request; answers with the object. Raises what the service refuses."""
        return self._once(kind, f"/{kind}s", f"{kind}_id", fields, wait_s=wait_s or 0.0)

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        """Send each request, several at a time; one answer for each, in their order."""
        return side_by_side(batch, lambda fields: self.create(kind, fields))

    def capture(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Take money of a charge; answers with it. Raises what the service refuses."""
        return self._of_charge("capture", fields, wait_s)

    def cancel(self, fields: Mapping[str, Any], *, wait_s: float | None = None) -> dict[str, Any]:
        """Ask for the end of a charge; answers with it. Raises what the service refuses."""
        return self._of_charge("cancel", fields, wait_s)

    def get(self, kind: Kind, id_: str, *, wait_s: float | None = None) -> dict[str, Any]:
        """The object with this id, at once or when it is final."""
        path, ends_at = f"/{kind}s/{segment(id_)}", self._clock() + (wait_s or 0.0)
        while True:
            left_s = ends_at - self._clock()
            found = self._call("GET", path, expects=f"{kind}_id", wait_s=max(0.0, left_s))
            left_s = ends_at - self._clock()
            if found.get("state") != "pending" or left_s <= 0:
                return found
            self._sleep(min(POLL_S, left_s))

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """Any other route. `path`: its segments; `repeatable`: whether it may be done twice."""
        route = "".join(f"/{segment(part)}" for part in path)
        try:
            asked = None if body is None else carried(body)
            query = carried(query or {})
            return self._call(method, route, query=query, body=asked, repeatable=repeatable)
        except BillingError as error:
            error.idempotency_key = arguments.key_of(body or {})
            raise

    def close(self) -> None:
        self._wire.close()

    def after_fork(self) -> None:
        self._wire.after_fork()

    def __repr__(self) -> str:
        return f"Http({self._root})"  # no key

    def _of_charge(
        self, verb: str, fields: Mapping[str, Any], wait_s: float | None
    ) -> dict[str, Any]:
        path = f"/charges/{segment(fields['charge_id'])}/{verb}"
        body = {name: value for name, value in fields.items() if name != "charge_id"}
        return self._once("charge", path, "charge_id", body, wait_s=wait_s or 0.0)

    def _once(
        self, kind: Kind, path: str, expects: str, fields: Mapping[str, Any], *, wait_s: float
    ) -> dict[str, Any]:
        """POST what may be done twice, since it has a key or ends something; answers with the
        object as it is then, or as it stands later."""
        key = arguments.key_of(fields)
        waits_until = self._clock() + wait_s
        try:
            body = carried(fields)
            is_header = key is not None and _KEY_OF_HEADER.fullmatch(key) is not None
            if is_header:
                del body["idempotency_key"]
            asked = self._call(
                "POST", path, body=body, key=key if is_header else None, expects=expects,
                wait_s=wait_s,
            )  # fmt: skip
            left_s = waits_until - self._clock()
            if asked.get("state") != "pending" or left_s <= 0:
                return asked
            return self.get(kind, asked[expects], wait_s=left_s)
        except BillingError as error:
            error.idempotency_key = key
            raise

    def _call(
        self, method: str, path: str, *, wait_s: float = 0.0, **options: Any
    ) -> dict[str, Any]:
        waits_until = self._clock() + min(wait_s, PREFER_MAX_S)
        call = Call(
            method,
            self._root.path + path,
            ends_at=waits_until + self._timeout_s,
            waits_until=waits_until,
            **options,
        )
        while True:
            call.tries += 1
            try:
                answer = self._send(call)
            except NoAnswer as silence:
                call.may_have_arrived |= silence.is_sent
                failure = retries.of_silence(
                    self._unavailable(call, f"did not answer: {silence}"),
                    silence,
                    repeatable=call.repeatable,
                )
            else:
                read = self._read(call, answer)
                if not isinstance(read, Failure):
                    return read
                failure = read
            self._pause(call, failure)

    def _send(self, call: Call) -> Answer:
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self._api_key}",
            "user-agent": USER_AGENT,
            "x-request-id": call.id,
        }
        if call.key is not None:
            headers["idempotency-key"] = call.key
        now = self._clock()
        # Whole seconds (RFC 7240, section 4.3); what has passed since the call began is no second.
        wait_s = max(0, int(call.waits_until - now + 0.05))
        if wait_s:
            headers["prefer"] = f"wait={wait_s}"
        body = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            # As it is and not in escapes: a body may have 64 KiB, of any language's letters.
            body = json.dumps(call.body, ensure_ascii=False).encode()
        query = {name: _said(one) for name, one in call.query.items() if one is not None}
        return self._wire.exchange(
            call.method,
            call.path + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=body,
            timeout_s=retries.try_s(call.ends_at - now, wait_s=wait_s),
        )

    def _read(self, call: Call, answer: Answer) -> dict[str, Any] | Failure:
        """The object in an answer, or the failure that it is."""
        status, headers = answer.status, answer.headers
        call.id = headers.get("x-request-id") or call.id
        if call.method == "DELETE" and status == 404 and call.may_have_arrived:
            return {}  # An earlier try has deleted it.
        if status == 204:
            return {}
        document = _json(answer.body)
        if (
            200 <= status < 300
            and isinstance(document, dict)
            and (call.expects is None or call.expects in document)
        ):
            return document
        if status < 400:
            what = (
                "a redirect; set the url to where it leads"
                if status >= 300
                else "something else; is the url right?"
            )
            error: BillingError = self._unavailable(call, f"answered {status} with {what}", status)
            return Failure(error, may_repeat=False)
        after_s = retry_after_s(headers.get("retry-after"), now_s=time.time())
        error = error_of(
            status, document, where=str(self._root), request_id=call.id, retry_after_s=after_s
        )
        if status >= 500:
            call.may_have_arrived = True
        return retries.of_status(error, status, repeatable=call.repeatable, after_s=after_s)

    def _pause(self, call: Call, failure: Failure) -> None:
        """Wait for the next try; raises the error if there is none."""
        pause_s = retries.pause_s(failure, call.tries, dice=self._dice)
        # A reason to wait longer than the caller may: better to know now than then.
        if not failure.may_repeat or self._clock() + pause_s >= call.ends_at:
            raise failure.error
        if pause_s:
            self._sleep(pause_s)

    def _unavailable(self, call: Call, what: str, status: int | None = None) -> Unavailable:
        return Unavailable(f"{self._root} {what}", status=status, request_id=call.id)


def _said(value: object) -> object:
    """As a query says it."""
    return str(value).lower() if isinstance(value, bool) else value


def _json(body: bytes) -> object:
    try:
        read: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return read


_https: WeakSet[Http] = WeakSet()


def _after_fork() -> None:
    for http in list(_https):
        http.after_fork()


os.register_at_fork(after_in_child=_after_fork)
