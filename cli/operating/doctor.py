"""`billing doctor`: whether everything that is needed is there, and what to do if it isn't."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from cli import options, output

if TYPE_CHECKING:
    from cli.doctor.findings import Finding

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def register(root: typer.Typer) -> None:
    root.command()(doctor)


def doctor(as_json: options.Json = False) -> None:
    """Look at everything that must work, for up to ten seconds.

    Settings, database, broker, workers, processors, and the work that waits.
    Exits with 1 when something fails; warnings are for you to look at.
    """
    from cli.doctor.findings import is_healthy

    with output.progress("looking", None):
        findings = examined()
    healthy = is_healthy(findings)
    if as_json:
        views = [finding.view() for finding in findings]
        output.print_json({"healthy": healthy, "findings": views})
    else:
        _show(findings, healthy=healthy)
    if not healthy:
        sys.exit(1)


def examined() -> "list[Finding]":
    """What was found, part by part."""
    from cli.doctor import broker_checks, database_checks, processor_checks, rounds
    from cli.doctor.configuration import Found

    found, parts = Found(), []
    parts.append(("settings", found.look))
    settings = found.settings
    if (database_url := found.database_url) is not None and settings is not None:
        parts.append(("database", lambda: database_checks.look(database_url, settings)))
    if (broker_url := found.broker_url) is not None and settings is not None:
        parts.append(("broker", lambda: broker_checks.look(settings, broker_url)))
    if settings is not None and not found.troubles:
        parts.append(("processors", lambda: processor_checks.look(settings, database_url)))
    return list(rounds.make(parts, limit_s=rounds.LIMIT_S))


def _show(findings: "Sequence[Finding]", *, healthy: bool) -> None:
    console = output.console()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        level = (f"{finding.level:<5}", STYLES[finding.level])
        output.say(finding.seen, head=Text.assemble(level, f"{finding.subject:<{width}}  "))
        if finding.advice:
            output.say(finding.advice, head=f"     {'':<{width}}  → ")
    warned = any(finding.level == "warn" for finding in findings)
    verdict = "all is well, but for the warnings" if warned else "all is well"
    console.print(f"\n{verdict if healthy else 'SOMETHING FAILS'}")
