"""Which Sentinel is asked, and for how long: one that is silent costs its second once.

redis-py asks them in the order of the URL, each four times; so a first one whose machine is gone
would cost seconds with each connection, and longer than a worker may stand still.
"""

from functools import partial
from time import monotonic
from typing import Any

from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

# What a Sentinel may take to take a connection, and again to answer. It answers at once, or
# something is wrong with it; there are others.
ASK_S = 1.0

# When an address was last silent; who answers again is in here no more. For all of this process.
_silent_at: dict[tuple[str, int], float] = {}


def discover_master(manager: Any, service_name: str) -> tuple[str, int]:
    """As redis-py's `Sentinel.discover_master`; who was silent lately is asked last."""
    errors = []
    for client in sorted(manager.sentinels, key=lambda one: _silent_at.get(_address(one), 0.0)):
        try:
            masters = client.sentinel_masters()
        except (RedisConnectionError, RedisTimeoutError) as error:
            _silent_at[_address(client)] = monotonic()
            errors.append(f"{client} - {error!r}")
            continue
        _silent_at.pop(_address(client), None)
        state = masters.get(service_name)
        if state and manager.check_master_state(state, service_name):
            return state["ip"], state["port"]
    told = f" : {', '.join(errors)}" if errors else ""
    raise MasterNotFoundError(f"No master found for {service_name!r}{told}")


def _address(client: Any) -> tuple[str, int]:
    known = client.connection_pool.connection_kwargs
    return known["host"], known["port"]


class Channel(kombu_redis.SentinelChannel):  # type: ignore[misc]  # kombu has no types here
    """kombu's, which asks the Sentinels in this way."""

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        pool = super()._sentinel_managed_pool(asynchronous)
        manager = self._async_sentinel_manager if asynchronous else self._sentinel_manager
        for client in manager.sentinels:
            client.set_retry(Retry(NoBackoff(), 0))
            limits = client.connection_pool.connection_kwargs
            for name in ("socket_timeout", "socket_connect_timeout"):
                limits[name] = min(limits.get(name) or ASK_S, ASK_S)
        manager.discover_master = partial(discover_master, manager)
        return pool


class Transport(kombu_redis.SentinelTransport):  # type: ignore[misc]  # as above
    """kombu's, on such channels."""

    Channel = Channel
