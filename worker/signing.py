"""Signatures of messages on their way through a worker: kept with the message, then checked.

A message's proof is taken from it as it comes from the broker (`proof_of`), goes along with it to
the thread that runs its task (`presented`), and is checked against its producer's keys before
anything else is done with the request (`Signatures.check`).
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from infra.billing.contract.signatures import MESSAGE_HEADER, message_content
from infra.billing.contract.texts import is_producer
from payments.access import message_signatures
from payments.access.message_signatures import Mode, Proof

# How long the keys of a producer are cached, and so how long a revoked key still signs. A new key
# works at once, as a signature that seems wrong is checked against the present keys.
FRESH_S = 5.0
PRODUCERS_MAX = 1_000

# The header with a message's proof in the task's request.
PROOF = "proof"
_presented: ContextVar[Proof | None] = ContextVar("proof", default=None)


def proof_of(message: Any, *, task: str, task_id: str) -> Proof:
    """The proof in a message from the broker. `task` and `task_id` as read from it."""
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
    signed = message_content(task=task, task_id=task_id, body=body)
    return Proof(signed, (message.headers or {}).get(MESSAGE_HEADER))


@contextmanager
def presented(proof: object) -> Iterator[None]:
    """What the message of the task shows that runs inside of the `with`."""
    token = _presented.set(proof if isinstance(proof, Proof) else None)
    try:
        yield
    finally:
        _presented.reset(token)


class Signatures:
    """Checks messages against the signing keys of their producers."""

    def __init__(
        self,
        mode: Mode,
        read: Callable[[str], list[str]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` reads a producer's keys from the database."""
        self._mode = mode
        self._read = read
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()
        self._lock = threading.Lock()  # guards `_known`, which threads share

    @property
    def are_asked_for(self) -> bool:
        """Whether a message may have to be signed at all."""
        return self._mode != "off"

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise SignatureInvalid if the message of the running task is not signed as the setting
        requires: `accept` allows unsigned ones, and refuses wrong ones."""
        proof = _presented.get()
        if self._mode == "off":
            return
        if self._mode == "accept" and (proof is None or proof.signatures is None):
            return
        producer = fields.get("producer", "default")
        if proof is None or proof.signatures is None:
            raise message_signatures.refusal(proof)
        # An invalid producer name has no keys: it is neither looked up nor cached.
        if not is_producer(producer):
            raise message_signatures.refusal(proof)
        if message_signatures.is_signed(proof, self._keys(producer)):
            return
        if not message_signatures.is_signed(proof, self._keys_now(producer)):
            raise message_signatures.refusal(proof)

    def _keys(self, producer: str) -> list[str]:
        with self._lock:
            read_at, keys = self._known.get(producer, (-FRESH_S, []))
        return keys if self._clock() - read_at < FRESH_S else self._keys_now(producer)

    def _keys_now(self, producer: str) -> list[str]:
        now = self._clock()
        keys = self._read(producer)
        with self._lock:
            self._known[producer] = (now, keys)
            self._known.move_to_end(producer)
            if len(self._known) > PRODUCERS_MAX:
                self._known.popitem(last=False)
        return keys
