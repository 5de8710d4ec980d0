"""A message that is carried out on the loop, as Celery's own monitors want to see it."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol

from service.broker import redaction
from worker.envelope import Call
from worker.loop.events import Event
from worker.request import told_id


class Channel(Protocol):
    """Where messages came from, and are answered: what both transports' channels do."""

    def acknowledge(self, tags: Sequence[Any]) -> None:
        """Acknowledge messages by their tags, all at once."""

    def message_of(self, queue: str | None, letter: Any) -> Any:
        """What was handed out, as a message of kombu's."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Flight:
    """One message from its arrival to its end.

    It is among Celery's active requests, so that whoever asks a worker sees it. `id`, `name` and
    `info` are what remote control asks (celery/worker/control.py); `eventer` is set when a new
    connection is there (celery/worker/consumer/events.py); `task` and `acknowledged` say to a cold
    shutdown that this is not Celery's to cut off (celery/worker/consumer/consumer.py).
    """

    call: Call
    channel: Channel
    tag: Any
    # As its channel handed it out: a message of kombu's, or what it makes one of.
    letter: Any
    queue: str | None
    proof: Any
    hostname: str
    started_at: float = field(default_factory=time.monotonic)
    # What came of it; None while nothing has, or when Celery is to find out.
    result: dict[str, Any] | None = None
    # It goes back to the broker as it is.
    is_given_back: bool = False
    eventer: Any = None
    task: ClassVar[Any] = SimpleNamespace(acks_late=True)
    acknowledged: ClassVar[bool] = True

    @property
    def id(self) -> str:
        return self.call.id

    @property
    def name(self) -> str:
        return self.call.task

    def message(self) -> Any:
        """The message as kombu has it, for what is answered by itself."""
        return self.channel.message_of(self.queue, self.letter)

    def begun(self) -> tuple[Event, Event]:
        """The events that it came, and that it is under way."""
        call, queue = self.call, self.queue
        root_id = call.id if call.root_id == call.id else told_id(call.root_id) or call.id
        return (
            {
                "type": "task-received",
                "uuid": call.id,
                "name": call.task,
                "args": redaction.args_text(call.args),
                "kwargs": redaction.kwargs_text(call.kwargs),
                "root_id": root_id,
                "parent_id": told_id(call.parent_id),
                "retries": 0,
                "eta": None,
                "expires": None,
                "queue": queue,
            },
            {"type": "task-started", "uuid": call.id, "queue": queue},
        )

    def succeeded(self) -> Event:
        """The event that it is done."""
        return {
            "type": "task-succeeded",
            "uuid": self.call.id,
            "result": repr(self.result),
            "runtime": time.monotonic() - self.started_at,
            "queue": self.queue,
        }

    def info(self, safe: bool = True) -> dict[str, Any]:
        """For `inspect active` and Flower; never the arguments themselves."""
        return {
            "id": self.call.id,
            "name": self.call.task,
            "args": redaction.args_text(self.call.args),
            "kwargs": redaction.kwargs_text(self.call.kwargs),
            "type": self.call.task,
            "hostname": self.hostname,
            "time_start": time.time() - (time.monotonic() - self.started_at),
            "acknowledged": False,
            "delivery_info": {"exchange": "", "routing_key": self.queue, "redelivered": None},
            "worker_pid": os.getpid(),
        }
