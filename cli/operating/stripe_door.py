"""`billing stripe-door`: a stand-in for Stripe, to try and to test against."""

import asyncio
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import output, ports

if TYPE_CHECKING:
    from local.stripe_door.wire.stripe_door_server import Options

PORT = 12111  # where stand-ins for Stripe are looked for: stripe-mock has it, too


def register(root: typer.Typer) -> None:
    root.command("stripe-door")(stripe_door)


def stripe_door(
    port: int = typer.Option(PORT, min=0, max=65535, help="Where to listen; 0 is a free port."),
    host: str = typer.Option("127.0.0.1", help="The address to listen on: it asks for no secret."),
    journal: Path | None = typer.Option(
        None, help="Keep everything in this file, and go on with what is in it.", dir_okay=False
    ),
    webhook_url: str | None = typer.Option(None, help="Where events are posted to."),
    webhook_secret: str | None = typer.Option(
        None, help="What events are signed with; a new one by default, which is shown."
    ),
    thin: bool = typer.Option(False, "--thin", help="Send thin events, without the object."),
    latency_ms: int = typer.Option(0, min=0, help="How long every call takes."),
) -> None:
    """Run a stand-in for Stripe, with faults on demand.

    It moves no real money, and knows no real cards. The payment methods for every decline and every
    fault are in docs/reference/stripe-door.md.
    """
    from local.stripe_door.wire.stripe_door_server import Options

    if port:
        ports.require_free(host, port)
    secret = webhook_secret or f"whsec_{secrets.token_hex(24)}"
    options = Options(
        host=host,
        port=port,
        journal=journal,
        webhook_url=webhook_url,
        webhook_secret=secret,
        thin_events=thin,
        latency_s=latency_ms / 1000,
    )
    shown = webhook_url is not None and webhook_secret is None
    try:
        asyncio.run(_serve(options, show_secret=shown))
    except OSError as error:
        raise output.Failed(f"the door could not be opened: {error}") from None


async def _serve(options: "Options", *, show_secret: bool) -> None:
    from local.stripe_door.wire.stripe_door_server import running

    stopping = _asked_to_stop()
    async with running(options) as (_, url):
        output.say(f"Stripe's API at {url}; a key is sk_test_ and more")
        if show_secret:
            output.say(f"events are signed with {options.webhook_secret}")
        await stopping.wait()


def _asked_to_stop() -> asyncio.Event:
    """What is set by Ctrl-C, and by SIGTERM."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping
