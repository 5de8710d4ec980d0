"""The actor and the reason of a command: the options `--as` and `--why` of every command that
changes something.

    group.command("revoke")(acting.acts(revoke))

The account that the command runs under is recorded beside the given name.
"""

import functools
import getpass
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from payments.acting import Acting

Who = Annotated[
    str,
    typer.Option(
        "--as",
        "--who",
        metavar="NAME",
        help="Who you are, for the history; your user name without it.",
    ),
]
Why = Annotated[str | None, typer.Option(help="Why, for the history (`billing audit list`).")]
# The options as typed: name and reason. None while a command runs that changes nothing.
_TYPED: ContextVar[tuple[str, str | None] | None] = ContextVar("typed", default=None)


def acts(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options for the actor and the reason. A command that requires a reason
    has its own `why`, with its own help."""
    signature = inspect.signature(command, eval_str=True)
    has_why = "why" in signature.parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [inspect.Parameter("who", keyword, default="", annotation=Who)]
    if not has_why:
        more.append(inspect.Parameter("why", keyword, default=None, annotation=Why))

    @functools.wraps(command)
    def acting(*args: Any, who: str, why: str | None, **named: Any) -> None:
        token = _TYPED.set((who, why))
        try:
            command(*args, **named, **({"why": why} if has_why else {}))
        finally:
            _TYPED.reset(token)

    own = list(signature.parameters.values())
    # `--json` stays the last of the options.
    last = [p for p in own if p.name == "as_json"]
    rest = [p for p in own if p.name != "as_json"]
    parameters = [p.replace(kind=keyword) for p in (*rest, *more, *last)]
    acting.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    acting.__annotations__ = {p.name: p.annotation for p in parameters}
    return acting


@contextmanager
def acting_as(who: str, why: str) -> Iterator[None]:
    """Within the context, everything is done by this actor, as if the options had been typed."""
    token = _TYPED.set((who, why))
    try:
        yield
    finally:
        _TYPED.reset(token)


def somebody() -> "Acting | None":
    """The actor of the running command; None if it changes nothing. Raises InvalidRequest for a
    name or a reason that must not stay in the history."""
    from payments.acting import person

    typed = _TYPED.get()
    if typed is None:
        return None
    who, why = typed
    return person(who or account(), account=account(), why=why)


def account() -> str:
    """The account of the operating system that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that has a number, but no name
        return f"uid {os.getuid()}"
