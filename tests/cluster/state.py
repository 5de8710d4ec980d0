"""How the cluster is: asked of Patroni, etcd, the Sentinels, and our own processes."""

import json
from collections.abc import Sequence
from typing import Any

import redis
import urllib3

from tests.cluster.machines import Machine
from tests.cluster.programs import HTTP_PORT, Secrets

ANSWER_S = 2.0


class State:
    """Asks whoever answers. Nothing here raises because a machine is away."""

    def __init__(self, machines: Sequence[Machine], passwords: Secrets) -> None:
        self._machines = machines
        self._password = passwords.redis

    def members(self) -> list[dict[str, Any]]:
        """Patroni's view, from the first machine that tells one with a leader."""
        for machine in self._machines:
            found = _get(f"http://{machine.address}:8008/cluster") or {}
            members: list[dict[str, Any]] = found.get("members", [])
            if any(one["role"] == "leader" for one in members):
                return members
        return []

    def primary(self) -> Machine | None:
        """The machine whose PostgreSQL takes writes now, by its own word."""
        for machine in self._machines:
            if _get(f"http://{machine.address}:8008/primary"):
                return machine
        return None

    def redis_master(self) -> Machine | None:
        """As the first Sentinel that answers says."""
        for machine in self._machines:
            try:
                asked = redis.Redis(
                    host=machine.address, port=26379, socket_timeout=ANSWER_S,
                    socket_connect_timeout=ANSWER_S, decode_responses=True,
                )  # fmt: skip
                found = asked.sentinel_get_master_addr_by_name("billing")
            except redis.RedisError:
                continue
            if found:
                return next(one for one in self._machines if one.address == found[0])
        return None

    def etcd_leader(self) -> Machine | None:
        for machine in self._machines:
            status = _post(f"http://{machine.address}:2379/v3/maintenance/status")
            if status and status.get("leader") == status["header"]["member_id"]:
                return machine
        return None

    def lacks(self) -> list[str]:
        """What keeps the cluster from being whole; [] when the next fault may come."""
        return [*self._postgres_lacks(), *self._redis_lacks(), *self._others_lack()]

    def _postgres_lacks(self) -> list[str]:
        members = self.members()
        if len(members) != len(self._machines):
            return [f"Patroni knows {len(members)} members"]
        wrong = [one for one in members if one["state"] not in ("running", "streaming")]
        # Each standby must count for COMMIT again: only such a one may be promoted.
        wrong += [one for one in members if one["role"] not in ("leader", "quorum_standby")]
        return [f"{one['name']} is {one['role']}, {one['state']}" for one in wrong]

    def _redis_lacks(self) -> list[str]:
        master = self.redis_master()
        if master is None:
            return ["no Redis master"]
        try:
            asked = redis.Redis(
                host=master.address, password=self._password, socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
            )  # fmt: skip
            followed = asked.info("replication").get("connected_slaves", 0)
        except redis.RedisError as error:
            return [f"Redis on {master}: {type(error).__name__}"]
        return [] if followed == 2 else [f"{followed} replicas of Redis"]

    def _others_lack(self) -> list[str]:
        wrong = []
        for machine in self._machines:
            if (_get(f"http://{machine.address}:2379/health") or {}).get("health") != "true":
                wrong.append(f"etcd on {machine}")
            if machine.runs("web") and not _get(f"http://{machine.address}:{HTTP_PORT}/healthz"):
                wrong.append(f"web on {machine}")
        return wrong


_http = urllib3.PoolManager(retries=False, timeout=ANSWER_S)


def _get(url: str) -> Any:
    return _json("GET", url)


def _post(url: str) -> Any:
    return _json("POST", url)


def _json(method: str, url: str) -> Any:
    """The body of a 200; None for anything else."""
    try:
        answer = _http.request(method, url, body=b"{}" if method == "POST" else None)
        return json.loads(answer.data) if answer.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
