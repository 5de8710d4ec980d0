"""A contender: the processes of one way to do the work, and how to see that it is done."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from benchmarks.place import Place
from benchmarks.processes import Processes


class Contender(ABC):
    """Installed once, then started and stopped for every run."""

    name: str
    task: str
    queue: str
    secret: str
    """Of the webhook endpoint, `whsec_…`; known once installed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.processes = Processes(self.name, place.folder)
        self.database_url = place.create_database(self.name)

    @property
    @abstractmethod
    def broker_url(self) -> str: ...

    @abstractmethod
    def install(self) -> None:
        """Makes the tables and the webhook endpoint."""

    @abstractmethod
    def commands(self) -> dict[str, Sequence[str]]:
        """The processes to run, by role."""

    @abstractmethod
    def environment(self, *, latency_ms: int) -> dict[str, str]: ...

    @abstractmethod
    def unfinished(self) -> int:
        """How many charges or deliveries are not recorded as done."""

    def start(self, *, latency_ms: int) -> None:
        self.processes.start(self.commands(), self.environment(latency_ms=latency_ms))
