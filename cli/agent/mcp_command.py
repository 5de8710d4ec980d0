"""`billing mcp`: the door for agents, over stdin and stdout."""

import re
from typing import Annotated

import typer

from cli import output

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def register(root: typer.Typer) -> None:
    root.command("mcp")(mcp)


def mcp(
    name: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="What the audit calls it: agent:NAME, beside your account."
        ),
    ] = "mcp",
    allow_writes: Annotated[
        bool,
        typer.Option(
            "--allow-writes",
            help="Let it refund, send deliveries again and resolve, each with a key and a reason.",
        ),
    ] = False,
) -> None:
    """Answer an agent over stdin and stdout.

    The door of the Model Context Protocol (MCP) for AI agents.

    It finds, explains, lists and verifies, and changes nothing unless you allow it. Runs until its
    client leaves. Needs requirements-agent.lock.
    """
    if not NAME.fullmatch(name):
        raise typer.BadParameter(
            "a name is up to 63 of a-z, 0-9, dot, dash and underscore", param_hint="--as"
        )
    try:
        from cli.agent.door.agent_server import server
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise output.Failed(
            "this command needs the package mcp: pip install --require-hashes"
            " -r requirements-agent.lock; an image with it: LOCK=requirements-agent.lock"
            " make image",
            code="not_installed",
        ) from None
    server(name, allow_writes=allow_writes).run("stdio")
