"""Rate limits of a caller: token buckets, per API key and per address, and a log of refusals.

They apply per process: several processes allow that many times as much. That is enough for their
purpose, that one caller leaves room for the others and that nothing fills the log; an exact limit
for all processes would cost every request another round trip.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import monotonic

from starlette.requests import Request

from api.edge.edge import route_of
from api.edge.problems import RateLimited
from payments.access import keys
from payments.access.keys import Presented
from payments.payment_errors import BillingError
from service import log
from service.network_settings import Network
from service.settings import Settings

logger = log.get("billing.http")

# The burst of an idle caller: this many seconds' worth at once.
BURST_S = 2.0
# A wrong key is a mistake, or a guess; ten seconds' worth is a deployment gone wrong.
REFUSED_BURST_S = 10.0
# For one address and one reason, one line in the log in this time; it counts the others.
LOGGED_EVERY_S = 10.0
# How many callers are remembered: the least recent ones are dropped, and so start anew.
CALLERS_MAX = 10_000
FORWARDED_MAX = 50
_FORWARDED = re.compile(r"[0-9A-Fa-f.:]{2,45}")

Address = IPv4Address | IPv6Address


class Buckets:
    """A bucket of tokens for each caller: `rate` a second flow in, up to `burst_s` seconds' worth.

    A rate of 0 is no limit.
    """

    def __init__(
        self, rate: float, *, burst_s: float = BURST_S, clock: Callable[[], float] = monotonic
    ) -> None:
        self.are_on = rate > 0
        self._rate = rate
        self._size = max(1.0, rate * burst_s)
        self._clock = clock
        # How many tokens there were, and when.
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable) -> float:
        """Take a token; returns 0.0, or the seconds until there is one."""
        if not self.are_on:
            return 0.0
        now = self._clock()
        left, at = self._left.pop(caller, (self._size, now))
        left = min(self._size, left + (now - at) * self._rate)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[caller] = (left if wait_s else left - 1, now)
        if len(self._left) > CALLERS_MAX:
            self._left.popitem(last=False)
        return wait_s


@dataclass(slots=True)
class _Seen:
    """When a refusal was last logged, and how many have come since."""

    at: float
    since: int = 0


class Limits:
    """What one web process knows of its callers."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = monotonic) -> None:
        self._trusted = settings.http_trusted_proxies
        self._keys = Buckets(settings.http_key_rate, clock=clock)
        self._addresses = Buckets(settings.http_address_rate, clock=clock)
        self._refused = Buckets(settings.http_refused_rate, burst_s=REFUSED_BURST_S, clock=clock)
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def admit_address(self, request: Request) -> None:
        """Raise RateLimited if requests come from this address too often, with whatever key."""
        if self._addresses.are_on and (wait_s := self._addresses.take(self.address(request))):
            raise RateLimited(retry_after_s=_whole(wait_s))

    def admit_key(self, shown: Presented) -> None:
        """Raise RateLimited if this key is used too often. A wrong secret for an existing key has
        its own bucket: it takes nothing from the key's holder."""
        if wait_s := self._keys.take(shown):
            raise RateLimited(retry_after_s=_whole(wait_s))

    def refused(self, request: Request, problem: BillingError) -> BillingError:
        """The answer to a caller that was refused for its identity (401, 403): logged, with one
        line for many, and RateLimited if that happens too often.

        Never refuses a good key: one address may be a proxy, with all callers behind it.
        """
        address = self.address(request)
        wait_s = self._refused.take(address)
        self._log(request, problem, address, is_limited=wait_s > 0)
        return RateLimited(retry_after_s=_whole(wait_s)) if wait_s else problem

    def address(self, request: Request) -> str:
        """Where a request comes from: the peer's address; if that is a trusted proxy, the address
        that it names. Text, `unknown` if there is none."""
        peer = request.client.host if request.client else ""
        return client_address(peer, request.headers.getlist("x-forwarded-for"), self._trusted)

    def is_from_proxy(self, request: Request) -> bool:
        """Whether the peer is a trusted proxy."""
        peer = _address(request.client.host if request.client else "")
        return peer is not None and any(peer in network for network in self._trusted)

    def _log(
        self, request: Request, problem: BillingError, address: str, *, is_limited: bool
    ) -> None:
        now, reason = self._clock(), (address, problem.code)
        seen = self._seen.pop(reason, None)
        is_due = seen is None or now - seen.at >= LOGGED_EVERY_S
        if is_due:
            logger.warning(
                "caller refused",
                code=problem.code,
                status=problem.status,
                address=address,
                key_id=_key_id(request),
                producer=getattr(request.state, "producer", None),
                scope=problem.facts.get("scope"),
                route=route_of(request.scope),
                times=1 + (seen.since if seen else 0),
                limited=is_limited,
            )
            seen = _Seen(now)
        elif seen is not None:
            seen.since += 1
        if seen is not None:
            self._seen[reason] = seen
        if len(self._seen) > CALLERS_MAX:
            self._seen.popitem(last=False)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of the caller. `forwarded`: values of X-Forwarded-For; every proxy appends its
    peer, so they are read from the end, as long as the proxies are trusted."""
    here = _address(peer)
    if here is None:
        return "unknown"
    hops = [hop.strip() for value in forwarded for hop in value.split(",")][-FORWARDED_MAX:]
    while hops and any(here in network for network in trusted):
        before = _address(hops.pop())
        if before is None:
            break
        here = before
    return str(here)


def _address(text: str) -> Address | None:
    if not _FORWARDED.fullmatch(text):
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _key_id(request: Request) -> str | None:
    """The id of the presented key, if it has the right form; not its secret."""
    shown = keys.presented(request.headers.get("authorization", "").rpartition(" ")[2])
    return None if shown is None else shown.id


def _whole(wait_s: float) -> int:
    return max(1, -int(-wait_s // 1))
