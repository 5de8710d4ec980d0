"""Sends each message to the target of its URL: every webhook leaves through here."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from payments.webhooks.post import Client, OpenSocket
from payments.webhooks.target import TargetCheck
from payments.webhooks.targets.dialling import Dialler
from payments.webhooks.targets.kept_lines import Queues
from payments.webhooks.targets.resolving import Watch
from payments.webhooks.targets.target_kinds import BY_SCHEME, HTTP
from payments.webhooks.targets.target_port import Answer, Limits, Message


class Targets:
    """All targets of a process. Made and closed on the event loop that uses it.

    `tls` verifies servers, with the system's certificates unless given; `resolver` makes the
    resolver of host names.
    """

    def __init__(
        self,
        target_check: TargetCheck,
        *,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
        open_socket: OpenSocket = socket.socket,
    ) -> None:
        tls = tls or ssl.create_default_context()
        self.under_way = 0  # messages waiting for their answer
        self._watch = Watch(resolver())
        given: dict[str, Any] = {
            "limits": limits, "tls": tls, "resolver": resolver, "watch": self._watch
        }  # fmt: skip
        self._http = Client(target_check, open_socket=open_socket, **given)
        dialler = Dialler(target_check, **given)
        self._queues = Queues(dialler, limits=limits, watch=self._watch)

    async def close(self) -> None:
        await self._queues.close()
        await self._http.close()
        await self._watch.close()

    async def send(self, message: Message) -> Answer:
        """Send it and wait for the answer, `total_s` at most. Never raises for errors of the
        network or the receiver."""
        try:
            target = URL(message.url, encoded=True)
        except ValueError:
            return Answer(0, error="invalid_url")
        kind = BY_SCHEME.get(target.scheme)
        if kind is None:
            return Answer(0, error="invalid_url")
        self.under_way += 1
        try:
            sender = self._http if kind is HTTP else self._queues
            return await sender.send(message, target)
        finally:
            self.under_way -= 1
