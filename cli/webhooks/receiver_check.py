"""`billing endpoint check`: send a receiver made-up webhooks, right and forged, and grade it."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import database_access, options, output

if TYPE_CHECKING:
    from infra.billing.receiver_check.dialing import Guard
    from infra.billing.receiver_check.grading import Report
    from payments.webhooks.target import TargetCheck
    from service.settings import Settings

STYLES = {"advice": "yellow", "loses": "bold red", "forgeable": "bold red"}

Secret = Annotated[
    str | None,
    typer.Option(
        metavar="WHSEC", help="What the receiver at a URL verifies with; - reads it from stdin."
    ),
]


def check(
    target: Annotated[
        str,
        typer.Argument(
            help="A URL, which needs --secret; or the id of an endpoint, which has its own."
        ),
    ],
    secret: Secret = None,
    as_json: options.Json = False,
) -> None:
    """Test a receiver with made-up webhooks, right and forged ones, and report what it does wrong.

    For a receiver under test: it gets some twenty posts, most with events of type ping, about an
    endpoint that does not exist. Nothing is stored in the database. Exits with 1 unless it passes
    all required cases.
    """
    from infra.billing.errors import InvalidRequest
    from infra.billing.receiver_check.cases import CASES
    from infra.billing.receiver_check.check import check as try_out
    from payments.webhooks.target import TargetCheck
    from payments.webhooks.targets.target_kinds import is_graded
    from service.settings import load

    settings = load(broker_url="redis://unused")
    allowed = TargetCheck(settings.webhook_allow_private)
    url, key, headers = _aim(target, secret, settings)
    url = allowed.checked(url).url
    if not is_graded(url):
        raise output.Failed(
            "a queue takes whatever it is given, so there is nothing to grade: what verifies stands"
            " behind it; `billing endpoint ping WE_ID --wait 15` shows that it is reached",
            code="not_checked",
        )
    output.note(f"sending made-up webhooks to {url}; none of them is in the database")
    with output.progress("checking", len(CASES)) as bar:
        try:
            report = try_out(
                url,
                key,
                headers=headers,
                guard=_guard(allowed),
                progress=lambda _: bar.advance(bar.task_ids[0]),
            )
        except InvalidRequest as error:
            raise output.Failed(str(error), code=error.code, param=error.param) from None
    if as_json:
        output.print_json(report.view())
    else:
        _show(report)
    if not report.passed:
        sys.exit(1)


def _aim(
    target: str, secret: str | None, settings: "Settings"
) -> tuple[str, str, Mapping[str, str]]:
    """The URL, the secret to sign with, and the headers that the endpoint wants sent along."""
    if target.startswith("we_"):
        if secret is not None:
            raise options.Misused("an endpoint has its own secret: leave out --secret")
        return _of_endpoint(target, settings)
    if secret is None:
        raise options.Misused("give --secret WHSEC with a URL, or the id of an endpoint")
    return target, options.read(secret), {}


def _of_endpoint(endpoint_id: str, settings: "Settings") -> tuple[str, str, Mapping[str, str]]:
    from payments.access.vault import CantOpen
    from payments.transaction import Transaction
    from payments.webhooks import endpoints, headers
    from payments.webhooks.sealed import open_headers, open_secret
    from service.wiring import vault

    with database_access.reading() as connection:
        row = endpoints.get(Transaction(connection), endpoint_id)
    sealed = headers.kept(row.header_names, row.header_values)
    try:
        keys = vault(settings)
        secret = open_secret(keys, row.id, row.secrets[0])
        return row.url, secret, open_headers(keys, row.id, sealed)
    except CantOpen as error:
        raise output.Failed(str(error), code="secret_sealed") from None


def _guard(allowed: "TargetCheck") -> "Guard":
    from infra.billing.receiver_check.dialing import TargetRefused

    def judge(address: str, is_encrypted: bool) -> None:
        if not allowed.allows(address, encrypted=is_encrypted):
            raise TargetRefused(f"webhooks may not go to {address}")

    return judge


def _show(report: "Report") -> None:
    console = output.console()
    width = max(len(one.case.title) for one in report.tried)
    for one in report.tried:
        level = ("ok  ", "green") if one.passed else ("FAIL", "bold red")
        head = Text.assemble(level, f"  {one.case.title:<{width}}  ")
        wanted = "2xx" if one.case.expects == "accepted" else "4xx"
        output.say(one.answered if one.passed else f"{one.answered}, not {wanted}", head=head)
    if report.not_tried:
        output.say(f"not tried: {', '.join(report.not_tried)}")
    for fault in report.faults:
        console.print()
        label = fault.weight.name.lower()
        output.say(fault.says, head=Text(f"{label:<9}  ", STYLES[label]))
        output.say(fault.fix, head=f"{'':<9}  → ")
    console.print(f"\ngrade {report.grade}: {report.means}")
