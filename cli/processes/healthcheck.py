"""`billing healthcheck`: whether the process in this container does its work, in one sentence."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from cli import output
from cli.output import Failed

if TYPE_CHECKING:
    from service.settings import Settings

# `web` answers within three, and a container's engine waits for ten.
ANSWER_S = 5.0
ROLES = ("worker", "webhooks", "web", "beat", "flower")


def register(root: typer.Typer) -> None:
    root.command()(healthcheck)


def healthcheck(
    role: str = typer.Argument(
        "", help="worker, webhooks, web, beat or flower; unless said, all that run here."
    ),
) -> None:
    """Tell whether the process in this container works.

    `web` is asked whether it can accept requests; the others leave signs of life in
    BILLING_RUN_DIR. Exits with 1 when one doesn't work.
    """
    from service.process import life
    from service.settings import read

    settings = read()
    if role and role not in ROLES:
        raise Failed(f"there is no process {role!r}; there are {', '.join(ROLES)}")
    asked = [role] if role else life.roles(settings.run_dir, ROLES) if settings.run_dir else []
    if not asked:
        raise Failed(
            f"no process has left a sign of life in {settings.run_dir}: none was started here"
            if settings.run_dir
            else "say of which process, or set BILLING_RUN_DIR as `billing run` has it"
        )
    output.console().print("; ".join(_health(one, settings) for one in asked))


def _health(role: str, settings: "Settings") -> str:
    """How it is. Raises Failed when it doesn't work."""
    from cli.ports import FLOWER_PORT, url_of

    match role:
        case "web":
            if not settings.http_port:
                raise Failed("BILLING_HTTP_PORT must be set: nobody knows which port is free")
            return _of_web(url_of(settings))
        case "flower":
            status, _ = _ask(f"http://127.0.0.1:{FLOWER_PORT}", "/healthcheck", role)
            if status != http.client.OK:
                raise Failed(f"flower answers {status}")
            return "flower answers"
        case _:
            return _of_life(role, settings.run_dir)


def _of_web(url: str) -> str:
    status, body = _ask(url, "/readyz", "web")
    try:
        reasons: Sequence[str] = json.loads(body)["reasons"]
    except (ValueError, KeyError, TypeError):
        raise Failed(f"something else answers at {url}") from None
    if status != http.client.OK:
        raise Failed(f"web can't accept requests: {', '.join(reasons)}")
    return f"web accepts requests, but {', '.join(reasons)}" if reasons else "web accepts requests"


def _of_life(role: str, folder: Path | None) -> str:
    from service.process import life

    if folder is None:
        raise Failed(f"{role} leaves no sign of life: set BILLING_RUN_DIR for it, and here")
    age_s = life.age_s(folder, role)
    if age_s is None:
        raise Failed(f"{role} has left no sign of life in {folder}")
    if age_s > life.LIMIT_S:
        raise Failed(f"{role} gave its last sign of life {age_s:.0f} s ago")
    return f"{role} gave a sign of life {age_s:.0f} s ago"


def _ask(url: str, path: str, role: str) -> tuple[int, bytes]:
    """The status and body of an answer. Raises Failed when there is none in time."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{role} does not answer at {url} ({type(error).__name__})") from None
    finally:
        connection.close()
