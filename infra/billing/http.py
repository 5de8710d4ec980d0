"""HTTP as a way to the service, for threads: the steps of each call, one after the other."""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakSet

from infra.billing.base_url import Root
from infra.billing.calls.described import Asked, Create
from infra.billing.calls.over_http import OverHttp
from infra.billing.calls.stepwise import Answer, Pause, Send, Step, run
from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError
from infra.billing.http_transport import Wire
from infra.billing.parallel import side_by_side


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
        self.calls = OverHttp(root, api_key=api_key, timeout_s=timeout_s, clock=clock, dice=dice)
        self._wire = Wire(root) if wire is None else wire
        self._sleep = sleep
        _https.add(self)

    def run(self, asked: Asked) -> dict[str, Any]:
        """Send the request; answers with the object. Raises what the service refuses."""
        return run(self.calls.steps(asked), self._act)

    def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        """Send each request, several at a time; one answer for each, in their order."""
        return side_by_side(batch, lambda fields: self.run(Create(kind, fields)))

    def close(self) -> None:
        self._wire.close()

    def after_fork(self) -> None:
        self._wire.after_fork()

    def __repr__(self) -> str:
        return f"Http({self.calls})"

    def _act(self, step: Step) -> Answer | None:
        match step:
            case Send(method, target, headers, body, timeout_s):
                return self._wire.exchange(
                    method, target, headers=headers, body=body, timeout_s=timeout_s
                )
            case Pause(seconds):
                self._sleep(seconds)
                return None
            case _:
                raise AssertionError("over HTTP nothing is published")


_https: WeakSet[Http] = WeakSet()


def _after_fork() -> None:
    for http in list(_https):
        http.after_fork()


os.register_at_fork(after_in_child=_after_fork)
