"""RabbitMQ queues with our names that a producer declared differently, before any worker ran.

RabbitMQ can't change a queue: one of another type is deleted and recreated, and its messages are
moved in the meantime. Nothing is lost: a message is acknowledged in one queue once the other has
it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amqp import Channel, Message
from amqp.exceptions import AMQPNotImplementedError, NotFound, PreconditionFailed
from celery import Celery
from kombu import Queue

from service.broker import connections
from service.broker.celery_config import dead_letters, queues

ASIDE = ".moving"
CONFIRM_S = 10.0


def mend(app: Celery, *, move: bool) -> list[str]:
    """Recreate queues of another type: classic ones that are empty, and with `move` all. Returns
    the names of those that are left. Raises what amqp raises.

    RabbitMQ can delete a classic queue only if it is empty. For a quorum queue it can only say
    whether it was empty, and what arrives in between would be deleted: so senders must be stopped
    first.
    """
    left = []
    for queue in (*queues(rabbitmq=True), dead_letters()):
        with connections.link(app) as link:
            is_ours = _is_ours(link, queue)
            if is_ours and _count(link, _aside(queue)) is None:
                continue
            if not move and _count(link, queue.name):
                left.append(queue.name)
                continue
            if not is_ours and _count(link, queue.name):
                with link.channel() as channel:
                    Queue(_aside(queue), durable=True)(channel).queue_declare()
                _move(link, queue.name, _aside(queue))
        if not is_ours and not _delete(app, queue.name, quorum=move):
            left.append(queue.name)
            continue
        with connections.link(app) as link:
            with link.channel() as channel:
                queue(channel).declare()
            has_aside = _count(link, _aside(queue)) is not None
            if has_aside:
                _move(link, _aside(queue), queue.name)
        if has_aside:
            _delete(app, _aside(queue), quorum=move)
    return left


def _aside(queue: Queue) -> str:
    """The name of the queue that holds the messages while theirs is recreated."""
    return f"{queue.name}{ASIDE}"


def _delete(app: Celery, name: str, *, quorum: bool) -> bool:
    """Delete a queue that is empty and has no consumer; a quorum queue only with `quorum`. Returns
    whether it is deleted. Raises PreconditionFailed for one that is in use."""
    try:
        with connections.link(app) as link, _channel(link) as channel:
            channel.queue_delete(name, if_empty=True, if_unused=True)
    except AMQPNotImplementedError:  # a quorum queue can't be deleted only if empty
        if not quorum:
            return False
        with connections.link(app) as link, _channel(link) as channel:
            found = channel.queue_declare(name, passive=True)
            if found.message_count or found.consumer_count:
                raise PreconditionFailed(f"{name} is in use") from None
            channel.queue_delete(name)
    return True


def _move(link: Any, source: str, target: str) -> None:
    with _channel(link) as channel:
        channel.confirm_select()
        while (message := channel.basic_get(source)) is not None:
            channel.basic_publish_confirm(
                Message(message.body, **message.properties),
                exchange="",
                routing_key=target,
                mandatory=True,
                confirm_timeout=CONFIRM_S,
            )
            channel.basic_ack(message.delivery_tag)


def _is_ours(link: Any, queue: Queue) -> bool:
    """Whether the queue is as we declare it, or doesn't exist."""
    try:
        with link.channel() as channel:
            channel.queue_declare(queue.name, passive=True)
        with link.channel() as channel:
            queue(channel).queue_declare()
    except NotFound:
        return True
    except PreconditionFailed:
        return False
    return True


def _count(link: Any, name: str) -> int | None:
    try:
        with link.channel() as channel:
            return int(channel.queue_declare(name, passive=True).message_count)
    except NotFound:
        return None


@contextmanager
def _channel(link: Any) -> Iterator[Channel]:
    channel = link.connection.channel()
    try:
        yield channel
    finally:
        with contextlib.suppress(Exception):
            channel.close()


def names() -> Sequence[str]:
    """All queues to check."""
    return [queue.name for queue in (*queues(rabbitmq=True), dead_letters())]
