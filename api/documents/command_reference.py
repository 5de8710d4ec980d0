"""docs/reference/command-line.md: every `billing` command, as its own --help describes it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from api.documents.markdown import NOTICE, table

CHECKOUT = Path(__file__).parents[2]


def document(root: Any) -> str:
    """The page, of the command with all its verbs."""
    return "\n".join(
        [
            "# Command line",
            "",
            "Every `billing` command with its arguments and options.",
            "",
            NOTICE,
            "",
            (
                "`--json` prints JSON in place of a table. Exit codes: 0 done, 1 refused or failed"
                " (the reason is on stderr), 2 wrong usage. Commands other than `up`, `demo` and"
                " `url` work on the database of `BILLING_DATABASE_URL`, or on that of the running"
                " `billing up`."
            ),
            "",
            *_index(root),
            *_commands(root, typer.Context(root, info_name="billing")),
        ]
    )


def _index(root: Any) -> Iterator[str]:
    rows = [
        (f"[`{path}`](#{path.replace(' ', '-')})", command.get_short_help_str(120))
        for path, command, _ in _walk(root, typer.Context(root, info_name="billing"))
    ]
    yield from table(("command", "what it does"), rows)


def _commands(root: Any, context: typer.Context) -> Iterator[str]:
    for path, command, own in _walk(root, context):
        yield f"## {path}"
        yield ""
        yield _text(command.help)
        yield ""
        yield "```text"
        yield f"{path} {' '.join(command.collect_usage_pieces(own))}".strip()
        yield "```"
        yield ""
        if rows := [row for one in command.get_params(own) if (row := _row(one, own))]:
            yield from table(("argument or option", "meaning"), rows)


def _walk(command: Any, context: typer.Context) -> Iterator[tuple[str, Any, typer.Context]]:
    """The commands that do something, with the words that call them."""
    if (children := getattr(command, "commands", None)) is None:
        yield context.command_path, command, context
        return
    for name in sorted(children):
        yield from _walk(
            children[name], typer.Context(children[name], info_name=name, parent=context)
        )


def _row(parameter: Any, context: typer.Context) -> tuple[str, str] | None:
    if getattr(parameter, "hidden", False):
        return None
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar}`"
        if not parameter.required:
            name += " (optional)"
        return name, parameter.help or ""
    if "--help" in parameter.opts:
        return None
    record = parameter.get_help_record(context)
    if record is None:
        return None
    names, meaning = record
    return f"`{names}`", meaning.replace(f"{CHECKOUT}/", "")


def _text(help_: str | None) -> str:
    """The paragraphs of a help text, each in one line."""
    paragraphs = re.split(r"\n\s*\n", (help_ or "").strip())
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)
