"""Real servers in a temporary folder that vanish with everything in them: tests, the demo."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.embedded.postgres import Postgres
from local.embedded.redis import Redis


@dataclass(frozen=True)
class Servers:
    """A PostgreSQL and a Redis, both running."""

    postgres: Postgres
    redis: Redis
    folder: Path


@contextmanager
def servers(*, durable: bool = True) -> Iterator[Servers]:
    """Both servers, until the end of the `with`. `durable=False`: PostgreSQL without fsync."""
    folder = Path(tempfile.mkdtemp(prefix="billing-"))
    try:
        with ExitStack() as stack:
            postgres = stack.enter_context(Postgres(folder / "postgres", durable=durable))
            redis = stack.enter_context(Redis(folder / "redis"))
            yield Servers(postgres=postgres, redis=redis, folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
