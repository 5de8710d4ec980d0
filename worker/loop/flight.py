"""A message that is carried out on the loop, in the form that Celery's monitors expect."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol

from service.broker import task_redaction
from worker.envelope import Call
from worker.loop.monitor_events import Event
from worker.task_request import told_id


class Channel(Protocol):
    """The source of messages, and where they are acknowledged: what the channels of both transports
    do."""

    def acknowledge(self, tags: Sequence[Any]) -> None:
        """Acknowledge messages by their tags, all at once."""

    def message_of(self, queue: str | None, letter: Any) -> Any:
        """What was delivered, as a kombu message."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Flight:
    """One message from its arrival to its end.

    It is among Celery's active requests, so that a monitor sees it. `id`, `name` and `info` are
    what remote control reads (celery/worker/control.py); `eventer` is set when there is a new
    connection (celery/worker/consumer/events.py); `task` and `acknowledged` tell a cold shutdown
    not to cut it off (celery/worker/consumer/consumer.py).
    """

    call: Call
    channel: Channel
    tag: Any
    # As its channel delivered it: a kombu message, or what becomes one.
    letter: Any
    queue: str | None
    proof: Any
    hostname: str
    started_at: float = field(default_factory=time.monotonic)
    # The result; None while there is none, or if Celery is to find out.
    result: dict[str, Any] | None = None
    # It is returned to the broker unchanged.
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
        """The kombu message, for an individual answer."""
        return self.channel.message_of(self.queue, self.letter)

    def begun(self) -> tuple[Event, Event]:
        """The events that it was received and started."""
        call, queue = self.call, self.queue
        root_id = call.id if call.root_id == call.id else told_id(call.root_id) or call.id
        return (
            {
                "type": "task-received",
                "uuid": call.id,
                "name": call.task,
                "args": task_redaction.args_text(call.args),
                "kwargs": task_redaction.kwargs_text(call.kwargs),
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
        """The event that it succeeded."""
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
            "args": task_redaction.args_text(self.call.args),
            "kwargs": task_redaction.kwargs_text(self.call.kwargs),
            "type": self.call.task,
            "hostname": self.hostname,
            "time_start": time.time() - (time.monotonic() - self.started_at),
            "acknowledged": False,
            "delivery_info": {"exchange": "", "routing_key": self.queue, "redelivered": None},
            "worker_pid": os.getpid(),
        }
