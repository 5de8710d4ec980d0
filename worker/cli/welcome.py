"""The last thing that `billing up` says at its start: that all is ready, and what to copy."""

import shlex
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from worker.settings import Settings, variable

# What a process of our Procfile says once it does its work.
READY = {
    "worker": " ready.",
    "webhooks": " ready.",
    "beat": "sweeper ready",
    "flower": "Connected to ",
}
# A cold disk takes some seconds to load four Pythons; after this, people want to know who is late.
PATIENCE_S = 30.0


class Lookout:
    """Waits until every process has said that it works, then calls `then` with those that didn't.

    Processes that aren't of our Procfile say nothing we know, and are not waited for.
    """

    def __init__(
        self,
        names: Iterable[str],
        then: Callable[[list[str]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._late = [name for name in names if name in READY]
        self._then = then
        self._clock = clock
        self._until = clock() + PATIENCE_S
        self._done = False

    def hear(self, name: str, line: str) -> None:
        """A line that a process said."""
        if name in self._late and READY[name] in line:
            self._late.remove(name)

    def look(self) -> None:
        """Call `then`, once, if it is time to."""
        if not self._done and (not self._late or self._clock() >= self._until):
            self._done = True
            self._then(self._late)


def exports(settings: Settings, *, own_broker: bool, show_secret: bool) -> list[str]:
    """Lines for another terminal, so that the SDK and any Celery client find the broker.

    The password is shown to a person at a terminal only, and only if it is that of our own server,
    which listens on this machine alone: output that goes to a file is a log.
    """
    if not own_broker:
        lines = [f"export BILLING_URL=${variable('broker_url')}"]
    elif show_secret:
        lines = [f"export BILLING_URL={shlex.quote(settings.broker_url)}"]
    else:
        lines = [f'export BILLING_URL="$({shlex.quote(program())} url)"']
    if settings.data_dir != Settings.model_fields["data_dir"].default:
        lines.insert(0, f"export {variable('data_dir')}={shlex.quote(str(settings.data_dir))}")
    return lines


def program() -> str:
    """How to call us from any folder."""
    ours = Path(sysconfig.get_path("scripts")) / "billing"
    return str(ours) if ours.exists() else f"{sys.executable} -m worker.cli"
