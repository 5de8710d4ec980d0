"""One run: one contender through one scenario, from a warm start to the last webhook."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from statistics import quantiles
from uuid import uuid4

from benchmarks import meter
from benchmarks.contender import Contender
from benchmarks.place import Place
from benchmarks.publisher import Publisher
from benchmarks.receiver import Arrival, Receiver
from benchmarks.scenarios import Resting, Scenario

# No webhook for so long means that something is broken. The plain way makes all charges before it
# delivers the first, which takes a minute or two on a machine that is out of breath.
SILENCE_MAX_S = 240.0
POLL_S = 0.05  # the receiver notes the time of arrival, so this delays nothing that is measured


@dataclass(frozen=True)
class Figures:
    """What one run showed. Times in ms, rates per second; CPU and the rest per charge."""

    requests: int
    charges_per_s: float
    cpu_ms: dict[str, float]
    transactions: float
    wal_kb: float
    # From due to the arrival of the webhook, or to the answer of a door.
    p50_ms: float
    p95_ms: float
    p99_ms: float
    # From settled, as the webhook itself says, to its arrival; 0 at a door.
    settled_p50_ms: float
    settled_p99_ms: float
    rss_mb: dict[str, float]
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


@dataclass(frozen=True)
class Rest:
    """What it takes to do nothing: CPU in per cent of one core, memory in MB, by process."""

    cpu_percent: dict[str, float]
    rss_mb: dict[str, float]
    others_percent: float
    stolen_percent: float

    def __str__(self) -> str:
        each = ", ".join(f"{role} {percent:.2f}" for role, percent in self.cpu_percent.items())
        return f"% of a core: {each}; {self.others_percent:.0f} % of the CPU used by others"


Watch = Callable[[Mapping[str, int]], AbstractContextManager[None]]


def run(
    scenario: Scenario, contender: Contender, place: Place, *, watch: Watch | None = None
) -> Figures:
    """Starts the contender, warms it, loads it, checks every webhook, stops it. `watch` is given
    its processes, and is around the load."""
    place.receiver.answer_after(scenario.webhook_ms)
    contender.start(latency_ms=scenario.latency_ms)
    try:
        with closing(contender.publisher()) as publisher:
            warm = new_keys(scenario.warm_up)
            publisher.burst(warm)
            arrivals(warm, contender=contender, receiver=place.receiver)
            wait_until_recorded(contender)
            place.postgres.execute("checkpoint")  # nobody pays for the pages of the one before

            keys = new_keys(scenario.requests_of(contender.name))
            return carry_out(keys, contender, place, publisher, scenario.rate_per_s, watch)
    finally:
        contender.processes.stop()


def carry_out(
    keys: Sequence[str],
    contender: Contender,
    place: Place,
    publisher: Publisher,
    rate_per_s: float | None = None,
    watch: Watch | None = None,
) -> Figures:
    """Loads a contender that runs, all at once or so many a second; checks every webhook."""
    roots = {**contender.processes.roots, **contender.servers}
    with watch(contender.processes.roots) if watch else nullcontext():
        start = meter.read(roots, place.postgres)
        if rate_per_s is None:
            due_s = publisher.burst(keys)
        else:
            due_s = publisher.paced(keys, rate_per_s=rate_per_s)
        came = arrivals(keys, contender=contender, receiver=place.receiver)
        wait_until_recorded(contender)
        spent = meter.read(roots, place.postgres).since(start)
    rss_mb = meter.rss_mb(contender.processes.roots)
    for arrival in came:
        arrival.verify(contender.secret)
    return _figures(due_s, came, spent, rss_mb)


def rest(scenario: Resting, contender: Contender, place: Place) -> Rest:
    """Starts all processes of the contender, lets it deliver a few, and then does nothing."""
    place.receiver.answer_after(0)
    contender.processes.start(contender.all_commands(), contender.environment(latency_ms=0))
    try:
        with closing(contender.publisher()) as publisher:
            keys = new_keys(20)
            publisher.burst(keys)
            arrivals(keys, contender=contender, receiver=place.receiver)
            wait_until_recorded(contender)
            time.sleep(scenario.settle_s)
            roots = {**contender.processes.roots, **contender.servers}
            start, started_s = meter.read(roots, place.postgres), time.monotonic()
            time.sleep(scenario.seconds)
            spent = meter.read(roots, place.postgres).since(start)
            seconds = time.monotonic() - started_s
            contender.processes.check_alive()
            rss_mb = meter.rss_mb(contender.processes.roots)
    finally:
        contender.processes.stop()
    return Rest(
        cpu_percent={role: 100 * cpu_s / seconds for role, cpu_s in spent.cpu_s.items()},
        rss_mb=rss_mb,
        others_percent=100 * spent.others_s / spent.cores_s,
        stolen_percent=100 * spent.stolen_s / spent.cores_s,
    )


def _figures(
    due_s: Mapping[str, float],
    arrivals: Sequence[Arrival],
    spent: meter.Reading,
    rss_mb: dict[str, float],
) -> Figures:
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.key, arrival)
    seconds = max(arrival.at_s for arrival in first.values()) - min(due_s.values())
    requests = len(due_s)
    whole = quantiles((1000 * (first[key].at_s - due_s[key]) for key in due_s), n=100)
    settled = quantiles((1000 * (one.at_s - one.settled_at_s) for one in first.values()), n=100)
    return Figures(
        requests=requests,
        charges_per_s=requests / seconds,
        cpu_ms={role: 1000 * cpu_s / requests for role, cpu_s in spent.cpu_s.items()},
        transactions=spent.transactions / requests,
        wal_kb=spent.wal_bytes / 1024 / requests,
        p50_ms=whole[49],
        p95_ms=whole[94],
        p99_ms=whole[98],
        settled_p50_ms=settled[49],
        settled_p99_ms=settled[98],
        rss_mb=rss_mb,
        repeats=len(arrivals) - requests,
        others_percent=100 * spent.others_s / spent.cores_s,
        stolen_percent=100 * spent.stolen_s / spent.cores_s,
    )


def arrivals(keys: Sequence[str], *, contender: Contender, receiver: Receiver) -> list[Arrival]:
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


def wait_until_recorded(contender: Contender) -> None:
    """The last webhook has arrived; its record belongs to the work, and to its cost."""
    deadline_s = time.monotonic() + SILENCE_MAX_S
    while unfinished := contender.unfinished():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{contender.name}: {unfinished} deliveries were never recorded")
        time.sleep(POLL_S)


def new_keys(number: int) -> list[str]:
    run_id = uuid4().hex
    return [f"{run_id}-{i}" for i in range(number)]
