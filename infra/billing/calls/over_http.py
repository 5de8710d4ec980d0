"""HTTP as a way to the service: each call is retried under the same key until its deadline."""

import json
import platform
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from infra.billing import arguments, retries
from infra.billing.base_url import Root
from infra.billing.calls.described import Ask, Asked, Change, Create, Get
from infra.billing.calls.stepwise import Answer, NoAnswer, Pause, Send, Steps
from infra.billing.contract.ids import Kind
from infra.billing.contract.retry_after import retry_after_s
from infra.billing.errors import BillingError, Unavailable
from infra.billing.problem_errors import error_of
from infra.billing.retries import Failure
from infra.billing.values import carried, segment
from infra.billing.version import __version__

USER_AGENT = f"infra.billing/{__version__} python/{platform.python_version()}"
# The service waits no longer than this for a final state; for a longer wait, ask again.
PREFER_MAX_S = 30
# The pause after an answer that is not final yet; it only matters if the service did not wait as it
# was asked to.
POLL_S = 0.25

# Other keys are sent in the body: proxies and servers disagree about the encoding, quotes and
# spaces in a header, and another key would be another charge.
_KEY_OF_HEADER = re.compile(r"[!#-~]{1,255}")


@dataclass(slots=True)
class Tries:
    """A request with all its tries: the same key and the same id on each of them."""

    method: str
    path: str
    ends_at: float
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None
    # A field that every answer of the service has.
    expects: str | None = None
    # Until when the service is asked to wait for a final state, a part of the whole time.
    waits_until: float = 0.0
    # Whether it may be done twice.
    repeatable: bool = True
    id: str = field(default_factory=lambda: uuid4().hex)
    tries: int = 0
    may_have_arrived: bool = False


class OverHttp:
    """The rules of calls over http:// or https://."""

    def __init__(
        self,
        root: Root,
        *,
        api_key: str,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._root = root
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._dice = dice
        self.clock = clock

    def steps(self, asked: Asked) -> Steps[dict[str, Any]]:
        """The steps of a call, which return the object in the answer. Raises what the service
        refuses."""
        match asked:
            case Create(kind, fields, wait_s):
                return self._once(kind, f"/{kind}s", fields, wait_s or 0.0)
            case Change(verb, fields, wait_s):
                path = f"/charges/{segment(fields['charge_id'])}/{verb}"
                body = {name: value for name, value in fields.items() if name != "charge_id"}
                return self._once("charge", path, body, wait_s or 0.0)
            case Get(kind, id_, wait_s):
                return self._get(kind, id_, wait_s or 0.0)
            case Ask():
                return self._ask(asked)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root})"  # no key

    def _once(
        self, kind: Kind, path: str, fields: Mapping[str, Any], wait_s: float
    ) -> Steps[dict[str, Any]]:
        """POST what may be done twice, since it has a key or ends something; returns the object as
        it is then, or later."""
        key = arguments.key_of(fields)
        expects = f"{kind}_id"
        waits_until = self.clock() + wait_s
        try:
            body = carried(fields)
            is_header = key is not None and _KEY_OF_HEADER.fullmatch(key) is not None
            if is_header:
                del body["idempotency_key"]
            asked = yield from self._call(
                "POST", path, body=body, key=key if is_header else None, expects=expects,
                wait_s=wait_s,
            )  # fmt: skip
            left_s = waits_until - self.clock()
            if asked.get("state") != "pending" or left_s <= 0:
                return asked
            return (yield from self._get(kind, asked[expects], left_s))
        except BillingError as error:
            error.idempotency_key = key
            raise

    def _get(self, kind: Kind, id_: str, wait_s: float) -> Steps[dict[str, Any]]:
        """The object with this id, at once or when it is final."""
        path, ends_at = f"/{kind}s/{segment(id_)}", self.clock() + wait_s
        while True:
            left_s = ends_at - self.clock()
            found = yield from self._call(
                "GET", path, expects=f"{kind}_id", wait_s=max(0.0, left_s)
            )
            left_s = ends_at - self.clock()
            if found.get("state") != "pending" or left_s <= 0:
                return found
            yield Pause(min(POLL_S, left_s))

    def _ask(self, asked: Ask) -> Steps[dict[str, Any]]:
        route = "".join(f"/{segment(part)}" for part in asked.path)
        try:
            return (
                yield from self._call(
                    asked.method,
                    route,
                    query=carried(asked.query or {}),
                    body=None if asked.body is None else carried(asked.body),
                    repeatable=asked.repeatable,
                )
            )
        except BillingError as error:
            error.idempotency_key = arguments.key_of(asked.body or {})
            raise

    def _call(
        self, method: str, path: str, *, wait_s: float = 0.0, **options: Any
    ) -> Steps[dict[str, Any]]:
        waits_until = self.clock() + min(wait_s, PREFER_MAX_S)
        call = Tries(
            method,
            self._root.path + path,
            ends_at=waits_until + self._timeout_s,
            waits_until=waits_until,
            **options,
        )
        while True:
            call.tries += 1
            try:
                answer: Answer = yield self._try(call)
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
            pause_s = retries.pause_s(failure, call.tries, dice=self._dice)
            # The service asks for a longer wait than the caller allows: raise now rather than then.
            if not failure.may_repeat or self.clock() + pause_s >= call.ends_at:
                raise failure.error
            if pause_s:
                yield Pause(pause_s)

    def _try(self, call: Tries) -> Send:
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self._api_key}",
            "user-agent": USER_AGENT,
            "x-request-id": call.id,
        }
        if call.key is not None:
            headers["idempotency-key"] = call.key
        now = self.clock()
        # Whole seconds (RFC 7240, section 4.3), rounded up: the time since the call began is below
        # a second.
        wait_s = max(0, int(call.waits_until - now + 0.05))
        if wait_s:
            headers["prefer"] = f"wait={wait_s}"
        body = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            # Not escaped: a body may have 64 KiB, in any language.
            body = json.dumps(call.body, ensure_ascii=False).encode()
        query = {name: _said(one) for name, one in call.query.items() if one is not None}
        return Send(
            call.method,
            call.path + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=body,
            timeout_s=retries.try_s(call.ends_at - now, wait_s=wait_s),
        )

    def _read(self, call: Tries, answer: Answer) -> dict[str, Any] | Failure:
        """The object in an answer, or the failure."""
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

    def _unavailable(self, call: Tries, what: str, status: int | None = None) -> Unavailable:
        return Unavailable(f"{self._root} {what}", status=status, request_id=call.id)


def _said(value: object) -> object:
    """The value in a query."""
    return str(value).lower() if isinstance(value, bool) else value


def _json(body: bytes) -> object:
    try:
        read: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return read
