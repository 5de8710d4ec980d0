"""All parts are checked in parallel, each within its time limit, independently of the others."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlalchemy.exc import DBAPIError

from cli.doctor.findings import Finding, fail
from service import faults
from service.database import diagnosis

# A person who runs `billing doctor` has a problem, and no patience. A healthy part answers within
# three seconds.
LIMIT_S = 8.0

Look = Callable[[], Iterable[Finding]]


class Part(threading.Thread):
    """Checks one part. A daemon: a check that never ends must not keep the process alive."""

    def __init__(self, subject: str, look: Look) -> None:
        super().__init__(name=f"doctor-{subject}", daemon=True)
        self.subject = subject
        self.findings: list[Finding] = []
        self._look = look

    def run(self) -> None:
        try:
            for finding in self._look():
                self.findings.append(finding)
        except Exception as error:  # noqa: BLE001  # one part's bug is no reason to hide the others
            self.findings.append(fail(self.subject, broken(error), "try again; report it"))


def make(parts: Sequence[tuple[str, Look]], *, limit_s: float) -> Iterator[Finding]:
    """Check all parts in parallel; findings come part by part, in the order of the parts."""
    threads = [Part(subject, look) for subject, look in parts]
    ends_at = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
        is_late = thread.is_alive()
        yield from list(thread.findings)
        if is_late:
            yield fail(
                thread.subject,
                f"gave no answer within {limit_s:g} s",
                "see whether its host and port answer at all, and how busy it is",
            )


def broken(error: Exception) -> str:
    """What can be shown of an error, without what it may quote."""
    if isinstance(error, DBAPIError):
        return f"could not be looked at: {diagnosis.reason(error)}"
    return f"could not be looked at: {faults.describe(error).text}"
