"""The last thing that `billing up` says at its start: that all is ready, and what to copy."""

import shlex
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from service.settings import Settings, variable

# What a process of our Procfile says once it does its work.
READY = {
    "worker": " ready.",
    "webhooks": " ready.",
    "web": "listening",
    "beat": "sweeper ready",
    "flower": "Connected to ",
}
# A cold disk takes some seconds to load four Pythons; after this, people want to know which process
# is late.
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


@dataclass(frozen=True, slots=True)
class Door:
    """Where HTTP is served, and the key for it if we made one."""

    url: str
    key: str | None


def exports(
    settings: Settings, *, own_broker: bool, show_secret: bool, web: Door | None = None
) -> dict[str, list[str]]:
    """Ways for another terminal to find us, each with the lines to copy for it.

    Secrets are shown to a person at a terminal only, and only those of our own servers, which
    listen on this machine alone: output that goes to a file is a log.
    """
    if not own_broker:
        broker = f"${variable('broker_url')}"
    else:
        broker = shlex.quote(settings.broker_url) if show_secret else _output_of("url")
    ways = {
        "over the broker, for the SDK and Celery clients" + (", instead of that" if web else ""): [
            f"export BILLING_URL={broker}"
        ]
    }
    if web:
        ways = {"over HTTP, for the SDK and curl": _of_web(web, show_secret=show_secret)} | ways
    if settings.data_dir != Settings.model_fields["data_dir"].default:
        folder = f"export {variable('data_dir')}={shlex.quote(str(settings.data_dir))}"
        ways = {way: [folder, *lines] for way, lines in ways.items()}
    return ways


def _of_web(web: Door, *, show_secret: bool) -> list[str]:
    lines = [f"export BILLING_URL={shlex.quote(web.url)}"]
    if web.key is None:
        lines.append("export BILLING_API_KEY=…  # made by: billing keys create NAME")
    elif show_secret:
        lines.append(f"export BILLING_API_KEY={shlex.quote(web.key)}")
    else:
        lines.append(f"export BILLING_API_KEY={_output_of('keys development')}")
    return lines


def _output_of(command: str) -> str:
    return f'"$({shlex.quote(program())} {command})"'


def program() -> str:
    """How to call us from any folder."""
    ours = Path(sysconfig.get_path("scripts")) / "billing"
    return str(ours) if ours.exists() else f"{sys.executable} -m cli"
