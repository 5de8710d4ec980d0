"""`billing run ROLE`: one process of the Procfile in the foreground, as a container starts it."""

import os

import typer

from cli.operating.up import ROOT, read_procfile
from cli.output import Failed


def register(root: typer.Typer) -> None:
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    root.command(context_settings=settings)(run)


def run(
    role: str = typer.Argument(help="A name in the Procfile: worker, webhooks, web, beat, flower."),
    options: list[str] | None = typer.Argument(
        None, help="Options for its program, such as --hostname of a worker."
    ),
) -> None:
    """Run one process in the foreground, as in a container.

    It becomes the program that the Procfile names, so signals reach that. Settings are looked at
    first; with BILLING_RUN_DIR it leaves signs of life for `billing healthcheck`.
    """
    from service.process import life
    from service.settings import load, variable

    commands = read_procfile(ROOT / "Procfile")
    if role not in commands:
        raise Failed(f"there is no process {role!r}; there are {', '.join(commands)}")
    if folder := load().run_dir:
        try:
            life.leave(folder, role)
        except OSError as error:
            raise Failed(
                f"{variable('run_dir')} must be a folder that may be written to; in a container,"
                f" mount one there ({error.strerror})"
            ) from None
    os.chdir(ROOT)  # what the Procfile names stands there
    program, *arguments = commands[role]
    os.execv(program, [program, *arguments, *(options or ())])  # noqa: S606  # no shell between
