"""Where the CPU goes: a sampling profiler on a contender's processes, its stacks told by part.

py-spy (https://github.com/benfred/py-spy) looks from outside, 200 times a second, at who holds the
interpreter. A stack belongs to the innermost function that is of one of the parts: what SQLAlchemy
does for a claim is the claim's.
"""

import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import tools

RATE_PER_S = 200
# The path of a function's file → the part it belongs to; the first that fits.
PARTS: tuple[tuple[str, str], ...] = (
    ("payments/processors/", "processor"),
    ("billing_stub.py", "processor"),
    ("payments/webhooks/draining/posting", "webhooks: post"),
    ("payments/webhooks/post", "webhooks: post"),
    ("payments/webhooks/connection", "webhooks: post"),
    ("aiohttp/", "webhooks: post"),
    ("payments/webhooks/", "webhooks: claim and record"),
    ("payments/intake/", "read and judge"),
    ("infra/billing/contract/", "read and judge"),
    ("payments/", "claim and settle"),
    ("models/", "claim and settle"),
    ("service/database/", "claim and settle"),
    ("service/broker/", "wake"),
    ("tasks/", "hand out"),
    ("worker/transport", "fetch and acknowledge"),
    ("worker/", "hand out"),
    ("service/", "hand out"),
    ("celery/", "Celery and kombu"),
    ("kombu/", "Celery and kombu"),
    ("amqp/", "Celery and kombu"),
)
REST = "event loop, interpreter"


class Profile:
    """Shares of the interpreter's time by process and part, once `watching` has ended."""

    def __init__(self) -> None:
        self.shares: dict[str, dict[str, float]] = {}

    @contextmanager
    def watching(self, roots: Mapping[str, int]) -> Iterator[None]:
        """Raises RuntimeError if the profiler may not look into the processes."""
        program = tools.python().with_name("py-spy")
        with tempfile.TemporaryDirectory() as folder:
            files = {role: Path(folder) / f"{role}.raw" for role in roots}
            running = {
                role: subprocess.Popen(
                    [
                        *(str(program), "record", "--gil", "--nonblocking", "--subprocesses"),
                        *("--rate", str(RATE_PER_S), "--format", "raw", "--duration", "600"),
                        *("--output", str(files[role]), "--pid", str(pid)),
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                for role, pid in roots.items()
            }
            try:
                yield
            finally:
                for process in running.values():
                    process.send_signal(signal.SIGINT)
                told = {role: process.communicate(timeout=30) for role, process in running.items()}
            for role, file in files.items():
                if not file.exists():
                    raise RuntimeError(f"py-spy: {told[role][1].decode()[-300:]}")
                self.shares[role] = shares(file.read_text())


def shares(raw: str) -> dict[str, float]:
    """Stacks as py-spy writes them (`outer;…;inner count`) → share of each part, the largest
    first."""
    samples: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, number = line.rpartition(" ")
        samples[part_of(stack.split(";"))] += int(number)
    whole = samples.total() or 1
    return {part: number / whole for part, number in samples.most_common()}


def part_of(stack: list[str]) -> str:
    """The part of a stack, its outermost frame first."""
    for frame in reversed(stack):
        for path, part in PARTS:
            if f"({path}" in frame or f"/{path}" in frame or f" {path}" in frame:
                return part
    return REST
