"""A contender: the processes of one way to do the work, and how to see that it is done."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.publisher import Publisher


class Missing(Exception):
    """What a contender needs is not here: it is left out, and the report says so."""


class Contender(ABC):
    """Installed once, then started and stopped for every run."""

    name: str
    title: str
    secret: str
    """Of the webhook endpoint, `whsec_…`; known once installed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.processes = Processes(self.name, place.folder)
        self.database_url = place.create_database(self.name)
        self.database = place.connect(self.name)
        self.broker_url = place.broker_url(database=place.next_broker_database())

    @property
    def servers(self) -> Mapping[str, int]:
        """The servers it uses, role → process id."""
        return self.place.roots

    @abstractmethod
    def install(self) -> None:
        """Makes the tables and the webhook endpoint. Raises Missing."""

    @abstractmethod
    def commands(self) -> dict[str, Sequence[str]]:
        """The processes that the work takes, by role."""

    def all_commands(self) -> dict[str, Sequence[str]]:
        """All processes that run where it is used, also those that only look on."""
        return self.commands()

    @abstractmethod
    def environment(self, *, latency_ms: int) -> dict[str, str]:
        """`latency_ms` is what the processor takes."""

    @abstractmethod
    def publisher(self) -> Publisher:
        """Who sends it requests. The contender is running."""

    @abstractmethod
    def unfinished(self) -> int:
        """How many charges or deliveries are not recorded as done."""

    def start(self, *, latency_ms: int) -> None:
        self.processes.start(self.commands(), self.environment(latency_ms=latency_ms))

    def count(self, query: str) -> int:
        """The one number that a query of its own gives."""
        row = self.database.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])
