"""The account: carries requests out, one at a time, with their keys, and lets time pass."""

import json
from collections import deque
from typing import Any

from local.stripe_door import API_VERSION, idempotency_keys
from local.stripe_door.api import TURNS, Route, route_for
from local.stripe_door.objects import turns
from local.stripe_door.objects.expanding import expanded
from local.stripe_door.shapes import Object, new_id
from local.stripe_door.store import Store
from local.stripe_door.stripe_request import Request
from local.stripe_door.wire.road import Answer
from local.stripe_door.wire.stripe_errors import Refused

LOG_MAX = 100_000


class Account:
    """One account at Stripe, behind its wire. Nothing here waits."""

    def __init__(self, store: Store, *, url: str = "") -> None:
        self.store = store
        self.url = url
        # Keys whose answer has not left yet.
        self.in_use: set[str] = set()
        # What was carried out or replayed, without what it said.
        self.log: deque[Object] = deque(maxlen=LOG_MAX)

    def carry_out(
        self, route: Route, target: str, given: Object, *, key: str | None, request_id: str
    ) -> Answer:
        """Do what was asked, or say again what was said to this key."""
        self.let_time_pass()
        path = route.path.replace("{id}", target)
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            if key is not None and (known := self._known(key, path, given)):
                headers |= {
                    "Idempotent-Replayed": "true",
                    "Original-Request": known["request"],
                    **known["headers"],
                }
                answer = Answer(known["status"], known["body"], headers)
            else:
                answer = self._execute(route, target, given, key, request_id, headers)
        except Refused as refused:
            if refused.status == 409:
                headers["Stripe-Should-Retry"] = "true"
            answer = Answer(refused.status, self._error(refused, request_id), headers)
        self.note(route.method, path, key, answer)
        return answer

    def note(self, method: str, path: str, key: str | None, answer: Answer) -> None:
        """Count a request."""
        self.log.append(
            {
                "method": method,
                "path": path,
                "key": key,
                "status": answer.status,
                "replayed": "Idempotent-Replayed" in answer.headers,
            }
        )

    def carry_out_later(
        self,
        route: Route,
        target: str,
        given: Object,
        *,
        key: str | None,
        request_id: str,
        after_s: float,
    ) -> None:
        """Do it when the caller has gone; until then its key is in use."""
        path = route.path.replace("{id}", target)
        if key is not None:
            idempotency_keys.keep(self.store, key, path=path, params=given, answer=None)
        asked = json.dumps([route.method, path, given, key, request_id])
        turns.arrange(Request(self.store, id=request_id), "execute", asked, after_s=after_s)

    def has_come_before(self, key: str | None) -> bool:
        """Whether something was carried out under this key, or will be."""
        return key is not None and key in self.store.tables["keys"]

    def let_time_pass(self) -> None:
        """Do what is due."""
        turns.due(Request(self.store, url=self.url), {**TURNS, "execute": self._execute_late})

    def request(self, **more: Any) -> Request:
        """A request without a client, for what is done by hand."""
        return Request(self.store, url=self.url, **more)

    def _known(self, key: str, path: str, given: Object) -> Any:
        idempotency_keys.check(key)
        if key in self.in_use:
            raise idempotency_keys.in_use()
        return idempotency_keys.answer_for(self.store, key, path=path, params=given)

    def _execute(
        self,
        route: Route,
        target: str,
        given: Object,
        key: str | None,
        request_id: str,
        headers: Object,
    ) -> Answer:
        path, keeps = route.path.replace("{id}", target), True
        try:
            params = route.read(given)
            request = Request(self.store, params, target, self.url, request_id, key)
            body = expanded(request, route.carry_out(request), params.get("expand") or [])
            answer = Answer(200, body, headers)
        except Refused as refused:
            keeps = refused.executed
            answer = Answer(refused.status, self._error(refused, request_id), headers)
        if key is not None and keeps:
            kept = {
                "status": answer.status,
                "body": answer.body,
                "request": request_id,
                "headers": {},
            }
            idempotency_keys.keep(self.store, key, path=path, params=given, answer=kept)
        return answer

    def _execute_late(self, request: Request) -> None:
        method, path, given, key, request_id = json.loads(request.target)
        found = route_for(method, path)
        assert found is not None, "it was found when it came"
        route, target = found
        answer = self._execute(route, target, given, key, request_id, {})
        self.note(method, path, key, answer)

    @staticmethod
    def _error(refused: Refused, request_id: str) -> Object:
        log = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**refused.error, "request_log_url": log}}


def new_request_id() -> str:
    return new_id("request")
