"""One run: one door under one load, every answer and every row checked."""

from collections.abc import Sequence
from statistics import quantiles

from benchmarks import meter
from benchmarks.doors.caller import Calls, call
from benchmarks.doors.door import Door
from benchmarks.place import Place
from benchmarks.run import Figures, new_keys
from benchmarks.scenarios import Calling


def run(scenario: Calling, door: Door, place: Place) -> Figures:
    """Starts the door, warms it, calls, checks what it answered and what it kept, stops it."""
    door.start()
    try:
        _call(scenario, door, new_keys(scenario.warm_up))
        door.wait_until_quiet()
        place.postgres.execute("checkpoint")  # so that nobody pays for the pages of the one before

        keys = new_keys(scenario.requests)
        roots = door.processes.roots | place.roots
        start = meter.read(roots, place.postgres)
        calls = _call(scenario, door, keys)
        door.wait_until_quiet()
        spent = meter.read(roots, place.postgres).since(start)
        rss_mb = meter.rss_mb(door.processes.roots)
    finally:
        door.processes.stop()
    return _figures(calls, spent, rss_mb)


def _call(scenario: Calling, door: Door, keys: Sequence[str]) -> Calls:
    """Raises RuntimeError unless each was answered with 202 and is in the database."""
    calls = call(
        port=door.port,
        authorization=door.authorization,
        connections=scenario.connections,
        keys=keys,
    )
    refused = [answer for answer in calls.answers if answer.status != 202]
    told = {str(answer.body.get("idempotency_key")) for answer in calls.answers}
    if refused or told != set(keys) or door.kept(keys) != len(keys):
        raise RuntimeError(
            f"{door.name}: {len(keys)} charges asked for, {len(refused)} refused, {len(told)} "
            f"told, {door.kept(keys)} kept; {refused[:1]}\n{door.processes.log_tails()}"
        )
    return calls


def _figures(calls: Calls, spent: meter.Reading, rss_mb: dict[str, float]) -> Figures:
    requests = len(calls.answers)
    hundredths = quantiles((answer.ms for answer in calls.answers), n=100)
    return Figures(
        requests=requests,
        charges_per_s=requests / calls.seconds,
        cpu_ms={role: 1000 * cpu_s / requests for role, cpu_s in spent.cpu_s.items()},
        transactions=spent.transactions / requests,
        wal_kb=spent.wal_bytes / 1024 / requests,
        p50_ms=hundredths[49],
        p95_ms=hundredths[94],
        p99_ms=hundredths[98],
        settled_p50_ms=0,
        settled_p99_ms=0,
        rss_mb=rss_mb,
        repeats=0,
        others_percent=100 * spent.others_s / spent.cores_s,
        stolen_percent=100 * spent.stolen_s / spent.cores_s,
    )
