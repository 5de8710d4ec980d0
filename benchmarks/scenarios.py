"""The questions that the benchmarks answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Scenario:
    """One way to load a contender, the same for every contender but for the length of the run.

    `fewer` and `more` are how many requests one gets that is so slow that the full number would
    take minutes, or so fast that it would be over before it is measured: each is busy from the
    first to the last of them, so another number shows the same rate.
    """

    name: str
    label: str
    question: str
    latency_ms: int  # of the processor
    webhook_ms: int  # of the receiver
    requests: int
    other_requests: Mapping[str, int] = field(default_factory=dict)
    rate_per_s: float | None = None  # None: all at once
    # Before the clock starts: every process has its connections open and its code warm.
    warm_up: int = 200

    def requests_of(self, contender: str) -> int:
        return self.other_requests.get(contender, self.requests)

    def quick(self) -> "Scenario":
        """The same question with few requests: shows that everything runs, not how fast."""
        return replace(
            self,
            requests=max(20, self.requests // 20),
            other_requests={name: max(20, n // 20) for name, n in self.other_requests.items()},
            warm_up=20,
        )


@dataclass(frozen=True)
class Resting:
    """Nothing to do for so long, with all processes running that run where it is used."""

    name: str
    label: str
    question: str
    seconds: float
    settle_s: float = 8.0  # before the clock starts

    def quick(self) -> "Resting":
        return replace(self, seconds=2.0, settle_s=1.0)


@dataclass(frozen=True)
class Calling:
    """One way to call a door: so many connections, each with one request at a time."""

    name: str
    label: str
    question: str
    connections: int
    requests: int
    warm_up: int = 500  # each connection to the database has its statements planned

    def quick(self) -> "Calling":
        """The same question with few requests: shows that everything runs, not how fast."""
        return replace(self, requests=self.requests // 20, warm_up=self.warm_up // 10)


BURST = Scenario(
    name="burst",
    label="W1",
    question="all requests at once; processor and receiver answer at once",
    latency_ms=0,
    webhook_ms=0,
    requests=4_000,
    other_requests={"plain": 1_000, "ceiling": 20_000},
)
SLOW = Scenario(
    name="slow",
    label="W2",
    question="all requests at once; the processor takes 300 ms, the receiver 100 ms",
    latency_ms=300,
    webhook_ms=100,
    requests=2_000,
    other_requests={"plain": 40},  # ten seconds of it; 2,000 would take nearly ten minutes
)
STEADY = Scenario(
    name="steady",
    label="W3",
    question="20 requests a second; processor and receiver answer at once",
    latency_ms=0,
    webhook_ms=0,
    requests=400,
    rate_per_s=20.0,
)
IDLE = Resting(
    name="idle",
    label="idle",
    question="nothing to do, all processes running",
    seconds=20.0,
)
CROWD = Calling(
    name="http",
    label="door, 32 at once",
    question="charges over 32 kept connections, a request at a time on each",
    connections=32,
    requests=6_000,
)
FOUR = Calling(
    name="http-four",
    label="door, 4 at once",
    question="charges over 4 kept connections, a request at a time on each",
    connections=4,
    requests=4_000,
)
ALONE = Calling(
    name="http-alone",
    label="door, alone",
    question="charges over one kept connection, one request at a time",
    connections=1,
    requests=1_500,
)
# What `--only` takes, and what is measured for it.
ALL: dict[str, tuple[Scenario | Resting | Calling, ...]] = {
    "burst": (BURST,),
    "slow": (SLOW,),
    "steady": (STEADY,),
    "idle": (IDLE,),
    "http": (CROWD, FOUR, ALONE),
}
