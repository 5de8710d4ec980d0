"""Resolving names: every address is checked, and a failure of our own resolver is told apart from
one of the name's servers."""

import asyncio
import errno
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from payments.webhooks.records.phases import DIALLING
from payments.webhooks.target import TargetCheck

# RFC 6761, 6.4: this name does not exist, and every resolver knows that without asking another
# server. The final dot prevents a search in the machine's own domains.
NO_NAME = "resolver-check.invalid."
# How long a working resolver may take for that, and for how long the result counts, in seconds.
ASKED_S, FRESH_S = 2.0, 5.0
# Errors that say that the name, or an address for it, does not exist: the resolver answered.
_ANSWERED = frozenset(
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
)


class ResolverAway(OSError):
    """Our resolver does not answer at all: the failure says nothing about the name."""


class Watch:
    """Knows whether our resolver answers. Made and used on one event loop."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Task[bool] | None = None
        self._asked_at = 0.0

    async def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait([self._asked])
        await self._resolver.close()

    async def is_away(self) -> bool:
        """Whether it doesn't even answer what needs no other server. Takes ASKED_S at most;
        concurrent callers share one check."""
        now = self._loop.time()
        if self._asked is None or (self._asked.done() and now - self._asked_at > FRESH_S):
            self._asked, self._asked_at = asyncio.create_task(self._answers()), now
        asked = self._asked
        await asyncio.wait([asked], timeout=ASKED_S)
        return not (asked.done() and not asked.cancelled() and asked.result())

    async def _answers(self) -> bool:
        try:
            await self._resolver.resolve(NO_NAME, 0, socket.AF_INET)
        except OSError as error:
            return is_answered(error)
        return True


def is_answered(error: OSError) -> bool:
    """Whether it says that there is no such name, rather than that there was no answer."""
    return not isinstance(error, socket.gaierror) or error.errno in _ANSWERED


class CheckedResolver(AbstractResolver):
    """Resolves names, and refuses a name with even one address that is not allowed.

    If only the allowed addresses of a mixed answer were dialled, an attacker's name could get
    through by repeated tries.
    """

    def __init__(
        self,
        target_check: TargetCheck,
        *,
        encrypted: bool,
        resolver: AbstractResolver,
        watch: Watch,
    ) -> None:
        self._resolver, self._watch = resolver, watch
        self._check = target_check
        self._encrypted = encrypted

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if (dialling := DIALLING.get()) is not None:
            dialling.looks_up()
        try:
            found = await self._resolver.resolve(host, port, family)
        except OSError as error:
            if not is_answered(error) and await self._watch.is_away():
                raise ResolverAway(errno.EAGAIN, "our resolver does not answer") from error
            raise
        if dialling is not None:
            dialling.has_found()
        for one in found:
            self._check.refuse(one["host"], encrypted=self._encrypted)
        return found

    async def close(self) -> None:
        await self._resolver.close()
