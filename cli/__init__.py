"""The `billing` command. Each module of a command package adds its verbs with a `register(root)`.

Exit codes: 0 done, 1 refused or failed (the reason on stderr), 2 wrong usage. With `--json` the
answer on stdout and the reason on stderr are JSON.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator

import typer

from cli import output, usage
from infra.billing.version import __version__
from local.embedded.embedded_server import EmbeddedError
from service import log
from service.data_dir import DataDirError
from service.settings_errors import SettingsError

# How Python represents bytes that are not valid characters.
_NO_TEXT = re.compile("[\ud800-\udfff]")
# The packages with commands; the others here support them.
ROOMS = ("agent", "catalog", "finance", "operating", "payments", "processes", "webhooks")
# Those that are started again and again, with the module of each.
ALONE = {"healthcheck": "cli.processes.healthcheck"}
EXPECTED = (SettingsError, DataDirError, EmbeddedError, output.Failed)


def make(word: str = "") -> typer.Typer:
    """The command with all its verbs, or only with the one that `word` names: a health check, every
    few seconds in each container, must not load all the others.

    Modules import what is slow inside their functions, so that `--help` answers at once.
    """
    root = typer.Typer(
        name="billing",
        help="Charges and refunds, exactly once, with signed webhooks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they show local variables, which may be secrets
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root.callback()(_before)
    names = sorted(_commands(), key=lambda name: name.rsplit(".", 1)[1])
    for name in [ALONE[word]] if word in ALONE else names:
        if register := getattr(importlib.import_module(name), "register", None):
            register(root)
    usage.in_capitals(root)
    return root


def _commands() -> Iterator[str]:
    for room in ROOMS:
        path = [f"{__path__[0]}/{room}"]
        for module in pkgutil.iter_modules(path, f"{__name__}.{room}."):
            yield module.name


def main() -> None:
    """Run the command line and exit with its code."""
    if any(_NO_TEXT.search(argument) for argument in sys.argv):
        # None of our keys, ids or names is; and what isn't text can't be shown, either.
        sys.stderr.write("what was typed is not UTF-8\n")
        sys.exit(2)
    try:
        make(*sys.argv[1:2])(prog_name="billing")
    except EXPECTED as failure:
        output.fail(failure)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not (known := output.in_words(error)):
            raise
        output.fail(known)
    sys.exit(0)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"billing {__version__}\n")
        raise typer.Exit


def _before(
    version: bool = typer.Option(  # its callback answers
        False, "--version", help="Show the version.", is_eager=True, callback=_version
    ),
) -> None:
    # Commands report by their answers; of libraries only warnings matter.
    log.configure("console", "warning")
