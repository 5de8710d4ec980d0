"""`billing demo`: a day of eight shops in a minute, and the sums at the end."""

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from cli import output


def register(root: typer.Typer) -> None:
    root.command()(demo)


def demo(
    shop: list[str] = typer.Option([], help="Only this shop, by the first word of its name."),
    log: Path | None = typer.Option(None, help="Write what the processes say into this file."),
    as_json: output.Json = False,
) -> None:
    """Try everything: eight shops, one killed worker, and the sums.

    Starts PostgreSQL, Redis, the workers and a webhook receiver in a temporary folder, kills a
    worker in the middle, and leaves nothing behind. Takes about a minute; needs no settings.
    """
    from local.demo import report, scenario, script
    from local.demo.environment import StageError
    from local.demo.screen import Screen

    chosen = scenario.read()
    if shop:
        known = {name.split()[0].lower(): name for name in chosen.shops}
        if unknown := [one for one in shop if one.lower() not in known]:
            raise output.Failed(f"no shop is called {unknown[0]}; there are {', '.join(known)}")
        chosen = chosen.pick(known[one.lower()] for one in shop)
    # As Ctrl-C: whatever ends us, nothing is left behind.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    try:
        with Screen() as screen, log.open("w") if log else nullcontext() as log_file:
            figures = script.play(chosen, screen, log_file)
    except (StageError, OSError) as error:
        raise output.Failed(f"the demo could not be run: {error}") from None
    if as_json:
        output.print_json(figures.as_json())
    else:
        report.show(figures)
    if not figures.add_up:
        sys.exit(1)


def _end(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
