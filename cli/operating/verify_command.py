"""`billing verify`: whether every promise is kept, right now, in the live database."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from cli import database_access, options, output

if TYPE_CHECKING:
    from payments.audit.verify import Finding


def register(root: typer.Typer) -> None:
    root.command()(verify)


def verify(as_json: options.Json = False) -> None:
    """Check that the books are right. Changes nothing.

    Every promise is checked against the database and the statements of processors.

    Exits with 1 if a promise is broken; warnings are for you to look at.
    """
    from payments.audit import verify as checks
    from payments.audit.witness import INVARIANTS
    from service.database.database_limits import BOOKS

    with (
        database_access.opened(limits=BOOKS) as engine,
        output.progress("verifying", len(INVARIANTS)) as bar,
    ):
        findings = []
        for finding in checks.verify(engine, statements=database_access.statements()):
            findings.append(finding)
            bar.advance(bar.task_ids[0])
    is_sound = checks.is_sound(findings)
    if as_json:
        output.print_json({"sound": is_sound, "findings": [one.view() for one in findings]})
    else:
        _show(findings, is_sound=is_sound)
    if not is_sound:
        sys.exit(1)


def _show(findings: "Sequence[Finding]", *, is_sound: bool) -> None:
    rows = [
        {
            "promise": one.invariant.name,
            "looked at": one.looked_at,
            "broken": one.broken,
            "": _mark(one),
        }
        for one in findings
    ]
    output.show_list(rows, list(rows[0]), as_json=False, nothing="")
    console = output.console()
    for one in findings:
        if not one.is_kept:
            console.print()
            output.say(one.invariant.promise, head=f"{_mark(one)}: ")
            for offender in one.offenders:
                output.say(offender.detail, head=f"  {offender.id}  ")
            if one.broken > len(one.offenders):
                console.print(f"  … and {one.broken - len(one.offenders)} more", markup=False)
    console.print("\nall promises are kept" if is_sound else "\nTHE BOOKS ARE NOT RIGHT")


def _mark(one: "Finding") -> str:
    if one.is_kept:
        return "ok"
    return "look" if one.invariant.level == "warning" else "BROKEN"
