"""Carries out a request on the loop: with the same steps as in a thread, as long as nothing
fails."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal

from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.messages.task_names import CREATE, DRAIN, SUBMIT
from models.rows import LifecycleRow
from payments.kinds import KINDS
from payments.lifecycle.executor import Executor
from service import intake
from service.database.retrying import is_held_up
from tasks.task_arguments import id_field, keyed
from tasks.webhook_tasks import drained, to_drain
from worker import signing
from worker.envelope import Call
from worker.signing import Signatures

# The tasks that are carried out here: `billing.charge.create` and its like.
_VERBS: Mapping[str, tuple[KindName, Literal["create", "submit"]]] = {
    **{task: (kind, "create") for kind, task in CREATE.items()},
    **{task: (kind, "submit") for kind, task in SUBMIT.items()},
}


TASKS = frozenset(_VERBS) | {DRAIN}


class HeldUp(Exception):
    """A row that it needs is locked: it is returned to the broker, and comes again."""


class Carrier:
    """Carries out calls. Raises whatever keeps one from a plain success."""

    def __init__(
        self,
        executor: Executor,
        signatures: Signatures,
        *,
        drain: Callable[[Sequence[str]], Future[None]],
        pause_s: float,
    ) -> None:
        self._executor = executor
        self._signatures = signatures
        self._drain = drain
        self._pause_s = pause_s

    @staticmethod
    def takes(call: Call) -> bool:
        """Whether it is plainly one of the calls that are carried out here."""
        return (
            call.task in TASKS
            and not call.args
            and not call.wishes.callbacks
            and not call.wishes.given_up
        )

    async def carry(self, call: Call, proof: object) -> dict[str, Any]:
        """Carry out the request as far as possible now; returns what its task returns in a
        thread."""
        if call.task == DRAIN:
            endpoint_ids = to_drain(call.kwargs)
            await asyncio.wrap_future(self._drain(endpoint_ids))
            return drained(call.kwargs, endpoint_ids)
        kind, verb = _VERBS[call.task]
        try:
            if verb == "create":
                row = await self._create(kind, call, proof)
            else:
                id_ = id_field(call.kwargs, "id", PREFIXES[kind])
                row = await self._executor.submit(KINDS[kind], id_)
        except Exception as error:
            if not is_held_up(error):
                raise
            await asyncio.sleep(self._pause_s)
            raise HeldUp from None
        return {"state": row.state, f"{kind}_id": row.id}

    async def _create(self, kind: KindName, call: Call, proof: object) -> LifecycleRow:
        if self._signatures.are_asked_for:
            with signing.presented(proof):
                # In a thread: it may have to read a producer's keys from the database.
                await asyncio.to_thread(self._signatures.check, call.kwargs)
        request = intake.request(kind, keyed(call.kwargs, call.id))
        return await self._executor.create(
            request,
            task_id=call.id,
            timing=call.wishes.timing,
            traceparent=call.wishes.traceparent,
        )
