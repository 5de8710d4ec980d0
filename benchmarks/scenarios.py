"""The questions that the benchmarks answer."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Scenario:
    """One way to load a contender, the same for every contender but for the length of the run.

    `requests_plain` is the plain way's share where it is so slow that the full number would take
    minutes: it is busy from the first to the last of them, so fewer show the same rate.
    """

    name: str
    question: str
    latency_ms: int
    requests: int
    requests_plain: int
    rate_per_s: float | None = None  # None: all at once
    # Before the clock starts: every process has its connections open and its code warm.
    warm_up: int = 40

    def quick(self) -> "Scenario":
        """The same question with few requests: shows that everything runs, not how fast."""
        fewer = max(20, self.requests // 20)
        return replace(
            self,
            requests=fewer,
            requests_plain=min(self.requests_plain // 3, fewer),
            warm_up=10,
        )


@dataclass(frozen=True)
class Calling:
    """One way to call a door: so many connections, each with one request at a time."""

    name: str
    question: str
    connections: int
    requests: int
    warm_up: int = 500  # each connection to the database has its statements planned

    def quick(self) -> "Calling":
        """The same question with few requests: shows that everything runs, not how fast."""
        return replace(self, requests=self.requests // 20, warm_up=self.warm_up // 10)


BURST = Scenario(
    name="burst",
    question="all requests at once, the processor answers at once",
    latency_ms=0,
    requests=2_000,
    requests_plain=2_000,
)
SLOW = Scenario(
    name="slow",
    question="all requests at once, the processor takes 300 ms",
    latency_ms=300,
    requests=2_000,
    requests_plain=60,  # ten seconds of it; 2,000 would take over five minutes
)
STEADY = Scenario(
    name="steady",
    question="20 requests a second, the processor answers at once",
    latency_ms=0,
    requests=400,
    requests_plain=400,
    rate_per_s=20.0,
)
CROWD = Calling(
    name="http",
    question="charges over 32 kept connections, a request at a time on each",
    connections=32,
    requests=6_000,
)
ALONE = Calling(
    name="http alone",
    question="charges over one kept connection, one request at a time",
    connections=1,
    requests=1_500,
)
# What `--only` takes, and what is measured for it.
ALL: dict[str, tuple[Scenario | Calling, ...]] = {
    "burst": (BURST,),
    "slow": (SLOW,),
    "steady": (STEADY,),
    "http": (CROWD, ALONE),
}
