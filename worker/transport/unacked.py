"""The messages that were fetched from Redis and are not acknowledged yet: kept, renewed, restored.

kombu parses what it restores, and stops at what it can't parse: among a thousand abandoned messages
one broken one keeps all behind it from ever coming back, in every worker. Here Redis itself moves
them, byte for byte (worker/restore.lua), and only their worker parses them.
"""

import logging
from collections.abc import Sequence
from importlib.resources import files
from time import time
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis as kombu_redis
from redis.exceptions import RedisError, ResponseError

logger = logging.getLogger(__name__)

RESTORE = files("worker.transport").joinpath("restore.lua").read_text()
RENEW = files("worker.transport").joinpath("renew.lua").read_text()
# How many messages one script moves; it blocks Redis for some milliseconds.
RESTORE_MAX = 128
NEXT, LAST = "RPUSH", "LPUSH"


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types here
    """The messages that are fetched and not yet acknowledged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._acknowledged: list[str] = []

    def append(self, message: Any, delivery_tag: str) -> None:
        """Like kombu's, without storing it: `Channel.fetch` has done that."""
        super(kombu_redis.QoS, self).append(message, delivery_tag)

    def hold(self, tags: Sequence[str]) -> None:
        """Count messages among those that are fetched and not yet acknowledged: they fill slots,
        are renewed, and returned in the end."""
        if self._dirty:
            self._flush()
        self._delivered.update(dict.fromkeys(tags))

    def ack(self, delivery_tag: str) -> None:
        """Like kombu's, but Redis is told once for each iteration of the event loop.

        If a crash prevents that, the message comes again, and its row is found as it is.
        """
        self.ack_all([delivery_tag])

    def ack_all(self, tags: Sequence[str]) -> None:
        """The same for many."""
        self._dirty.update(tags)
        self._acknowledged.extend(tags)
        loop = get_event_loop()
        if loop is None:
            self.tell()
        else:
            # A tick comes after all callbacks of an iteration and before the loop sleeps;
            # `call_soon` would come after the sleep (kombu/asynchronous/hub.py:391).
            loop.on_tick.add(self.tell)

    def tell(self) -> None:
        """Send Redis the acknowledgements; what can't be sent now goes with the next."""
        loop = get_event_loop()
        if loop is not None:
            loop.on_tick.discard(self.tell)
        tags, self._acknowledged = self._acknowledged, []
        if not tags or self.channel.is_gone():
            return
        try:
            with self.pipe_or_acquire() as pipe:
                # In this order: if only half is done, the other half is removed as abandoned.
                pipe.hdel(self.unacked_key, *tags).zrem(self.unacked_index_key, *tags).execute()
        except self.channel.connection_errors as error:
            self._acknowledged = tags + self._acknowledged
            logger.info("%d acknowledgements wait: %s", len(tags), type(error).__name__)

    def _remove_from_indices(self, delivery_tag: str, pipe: Any = None) -> Any:
        with self.pipe_or_acquire(pipe) as pipe:
            return pipe.hdel(self.unacked_key, delivery_tag).zrem(
                self.unacked_index_key, delivery_tag
            )

    def renew(self) -> None:
        """Restart the visibility timeout of everything that this worker has.

        So a message comes again soon after its worker died, and not while the worker lives.
        Messages that were delivered to another worker in the meantime are left alone.
        """
        held = [tag for tag in list(self._delivered) if tag not in self._dirty]
        if held:
            with self.channel.conn_or_acquire() as client:
                renew = client.register_script(RENEW)
                renew(keys=[self.unacked_index_key], args=[time(), *held])

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:
        """Put back what was not renewed within the visibility timeout.

        Without kombu's lock: each message is moved in one step, by whichever worker, and only once.
        """
        latest = time() - self.visibility_timeout
        try:
            with self.channel.conn_or_acquire() as client:
                abandoned = client.zrange(
                    self.unacked_index_key, latest, float("-inf"), desc=True, byscore=True
                )
            self._restore(abandoned, NEXT)
        except ResponseError as error:
            # The next check comes in seconds, and what is in the queues doesn't wait for it.
            logger.warning("abandoned messages can't be looked for: %s", error)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Put one message back: to be done next, or last (`leftmost`)."""
        self._restore([tag], LAST if leftmost else NEXT)

    def restore_unacked(self, client: Any = None) -> None:
        """Put back everything that this worker has, in the order of arrival."""
        self._restore(list(self._delivered)[::-1], NEXT)
        self._delivered.clear()

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Like kombu's, which raises if the connection is lost, and so ends the worker."""
        try:
            self.tell()
            super().restore_unacked_once(stderr)
        except Exception as error:  # noqa: BLE001  # an AttributeError, of parts already gone
            logger.info(
                "%d messages were not given back (%s): they come again after their timeout",
                len(self._delivered),
                type(error).__name__,
            )
            self._delivered.clear()

    def _restore(self, tags: Sequence[Any], push: str) -> None:
        """Put messages back; of many, the last is processed first."""
        if not tags:
            return
        keys = [self.unacked_index_key, self.unacked_key, self.channel.queue_of_strays()]
        with self.channel.conn_or_acquire() as client:
            restore = client.register_script(RESTORE)
            for first in range(0, len(tags), RESTORE_MAX):
                batch = tags[first : first + RESTORE_MAX]
                for tag in restore(keys=keys, args=[push, *batch]):
                    self._restore_by_kombu(tag)

    def _restore_by_kombu(self, tag: Any) -> None:
        """A message that another Celery application, with kombu's own transport, stored here."""
        try:
            super().restore_by_tag(tag)
        except (OSError, RedisError):
            raise
        except Exception as error:  # noqa: BLE001  # not our message: it may be anything
            logger.warning("somebody else's message can't be restored: %s", type(error).__name__)
