"""The interface of async transports."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from infra.billing.calls.described import Asked
from infra.billing.calls.stepwise import NoAnswer, Step, Steps
from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError

T = TypeVar("T")


class AsyncTransport(Protocol):
    """Like `infra.billing.transport.Transport`. A call whose task is canceled may have arrived, or
    not, like one whose answer got lost; no connection is left with half an answer on it."""

    async def run(self, asked: Asked) -> dict[str, Any]:
        """The service's answer. Raises what it refuses."""
        ...

    async def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any] | BillingError]:
        """What `run` would return or raise for each of the batch, in its order."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


async def run(steps: Steps[T], act: Callable[[Step], Awaitable[Any]]) -> T:
    """What the steps return, each done by `act`, which may raise NoAnswer: as `stepwise.run`."""
    try:
        step = next(steps)
        while True:
            try:
                came = await act(step)
            except NoAnswer as silence:
                step = steps.throw(silence)
            else:
                step = steps.send(came)
    except StopIteration as end:
        returned: T = end.value
        return returned
