"""One run: one contender through one scenario, from a warm start to the last webhook."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from uuid import uuid4

from benchmarks import meter
from benchmarks.contender import Contender
from benchmarks.place import Place
from benchmarks.publisher import Publisher
from benchmarks.receiver import Arrival, Receiver
from benchmarks.scenarios import Scenario

SILENCE_MAX_S = 60.0  # no webhook for so long means that something is broken
POLL_S = 0.05  # the receiver notes the time of arrival, so this delays nothing that is measured


@dataclass(frozen=True)
class Figures:
    """What one run showed. Times in ms, rates per second; CPU and the rest per charge."""

    requests: int
    charges_per_s: float
    cpu_ms: dict[str, float]
    transactions: float
    wal_kb: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    repeats: int  # webhooks beyond the first of their charge: allowed, and worth seeing
    # Of this machine's CPU: taken by other programs, and by other machines of its hypervisor.
    others_percent: float
    stolen_percent: float

    def __str__(self) -> str:
        return (
            f"{self.charges_per_s:,.0f} charges/s, p50 {self.p50_ms:,.0f} ms, "
            f"{self.repeats} repeats, {self.others_percent:.0f} % of the CPU used by others, "
            f"{self.stolen_percent:.0f} % stolen"
        )


def run(scenario: Scenario, contender: Contender, place: Place) -> Figures:
    """Starts the contender, warms it, loads it, checks every webhook, stops it."""
    publisher = Publisher(
        broker_url=contender.broker_url, task=contender.task, queue=contender.queue
    )
    requests = scenario.requests_plain if contender.name == "plain" else scenario.requests
    contender.start(latency_ms=scenario.latency_ms)
    try:
        warm = new_keys(scenario.warm_up)
        publisher.burst(warm)
        _arrivals(warm, contender=contender, receiver=place.receiver)
        _wait_until_recorded(contender)
        place.postgres.execute("checkpoint")  # so that nobody pays for the pages of the one before

        keys = new_keys(requests)
        roots = contender.processes.roots | place.roots
        start = meter.read(roots, place.postgres)
        if scenario.rate_per_s is None:
            due_s = publisher.burst(keys)
        else:
            due_s = publisher.paced(keys, rate_per_s=scenario.rate_per_s)
        arrivals = _arrivals(keys, contender=contender, receiver=place.receiver)
        _wait_until_recorded(contender)
        spent = meter.read(roots, place.postgres).since(start)
    finally:
        contender.processes.stop()

    for arrival in arrivals:
        arrival.verify(contender.secret)
    return _figures(due_s, arrivals, spent)


def _figures(
    due_s: Mapping[str, float], arrivals: Sequence[Arrival], spent: meter.Reading
) -> Figures:
    first_s: dict[str, float] = {}
    for arrival in arrivals:
        first_s.setdefault(arrival.key, arrival.at_s)
    seconds = max(first_s.values()) - min(due_s.values())
    requests = len(due_s)
    hundredths = quantiles((1000 * (first_s[key] - due_s[key]) for key in due_s), n=100)
    return Figures(
        requests=requests,
        charges_per_s=requests / seconds,
        cpu_ms={role: 1000 * cpu_s / requests for role, cpu_s in spent.cpu_s.items()},
        transactions=spent.transactions / requests,
        wal_kb=spent.wal_bytes / 1024 / requests,
        p50_ms=hundredths[49],
        p95_ms=hundredths[94],
        p99_ms=hundredths[98],
        repeats=len(arrivals) - requests,
        others_percent=100 * spent.others_s / spent.cores_s,
        stolen_percent=100 * spent.stolen_s / spent.cores_s,
    )


def _arrivals(keys: Sequence[str], *, contender: Contender, receiver: Receiver) -> list[Arrival]:
    """Waits until every key has its webhook; returns all that came, in their order."""
    missing = set(keys)
    arrivals: list[Arrival] = []
    seen, silent_since_s = 0, time.monotonic()
    while missing:
        time.sleep(POLL_S)
        contender.processes.check_alive()
        arrived = receiver.count()
        if arrived != seen:
            seen, silent_since_s = arrived, time.monotonic()
        if time.monotonic() - silent_since_s > SILENCE_MAX_S:
            raise TimeoutError(
                f"{contender.name}: {len(missing) - arrived} of {len(keys)} webhooks never came"
                f"\n{contender.processes.log_tails()}"
            )
        if arrived >= len(missing):  # repeats may be among them
            taken = receiver.take()
            missing -= {arrival.key for arrival in taken}
            arrivals += taken
            seen = 0
    return arrivals


def _wait_until_recorded(contender: Contender) -> None:
    """The last webhook has arrived; its record belongs to the work, and to its cost."""
    deadline_s = time.monotonic() + SILENCE_MAX_S
    while unfinished := contender.unfinished():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{contender.name}: {unfinished} deliveries were never recorded")
        time.sleep(POLL_S)


def new_keys(number: int) -> list[str]:
    run_id = uuid4().hex
    return [f"{run_id}-{i}" for i in range(number)]
