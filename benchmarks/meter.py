"""What a run costs: CPU time by role, write transactions, write-ahead log. Reads Linux's /proc."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil
import psycopg


@dataclass(frozen=True)
class Reading:
    """Counters that only rise; the cost of a run is the difference of two readings."""

    cpu_s: dict[str, float]
    transactions: int
    wal_bytes: int
    cores_s: float
    others_s: float
    stolen_s: float

    def since(self, start: "Reading") -> "Reading":
        return Reading(
            cpu_s={role: spent - start.cpu_s[role] for role, spent in self.cpu_s.items()},
            transactions=self.transactions - start.transactions,
            wal_bytes=self.wal_bytes - start.wal_bytes,
            cores_s=self.cores_s - start.cores_s,
            others_s=self.others_s - start.others_s,
            stolen_s=self.stolen_s - start.stolen_s,
        )


def read(roots: Mapping[str, int], postgres: psycopg.Connection) -> Reading:
    """Reads the meters of the process trees below `roots` (role → pid) and of the server."""
    row = postgres.execute(
        # Ids are given to transactions that write, so their number counts commits that cost.
        "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
        " (pg_current_wal_lsn() - '0/0')::bigint"
    ).fetchone()
    assert row is not None
    machine = psutil.cpu_times()
    busy_s = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
    return Reading(
        cpu_s={role: _tree_cpu_s(pid) for role, pid in roots.items()},
        transactions=row[0],
        wal_bytes=row[1],
        cores_s=time.monotonic() * (os.cpu_count() or 1),
        others_s=busy_s - _tree_cpu_s(os.getpid()),
        stolen_s=machine.steal,
    )


def rss_mb(roots: Mapping[str, int]) -> dict[str, float]:
    """Resident memory of each process tree now, in MB; pages that forks share count once each."""
    return {role: sum(_rss(one) for one in _tree(pid)) / 1e6 for role, pid in roots.items()}


def _rss(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it, also of those that have ended.

    A process that ends hands its time to the parent that waits for it (`children_*`), so the sum
    over the living is the sum over all.
    """
    spent = 0.0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent
