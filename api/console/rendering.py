"""Pages: a template with its values, as HTML."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.console.safety import nonce_of, secured
from api.console.session import PATH, Session
from infra.billing.contract.ids import ID_PATTERN
from payments.amounts import in_words

HERE = Path(__file__).parent
# The pages in the top bar: their path below /console, their name, and the permission that shows
# them.
BAR = (
    ("/", "Overview", "charges:read"),
    ("/charges", "Charges", "charges:read"),
    ("/refunds", "Refunds", "charges:read"),
    ("/disputes", "Disputes", "charges:read"),
    ("/review", "Review", "charges:read"),
    ("/approvals", "Approvals", "operator"),
    ("/endpoints", "Webhooks", "webhooks:read"),
    ("/messages", "Messages", "operator"),
    ("/prices", "Prices", "prices:read"),
    ("/takings", "Takings", "charges:read"),
    ("/books", "Books", "charges:read"),
    ("/keys", "Keys", "operator"),
    ("/audit", "Audit", "operator"),
)


def static_version() -> str:
    """A name for the contents of `static`, which changes with them: browsers cache files under
    it."""
    digest = hashlib.sha256()
    for path in sorted((HERE / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


STATIC = f"{PATH}/static/{static_version()}"


def page(
    request: Request,
    template: str,
    *,
    session: Session | None = None,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """The page of this template, usable without a script."""
    session = session or getattr(request.state, "session", None)
    html = _templates.get_template(template).render(
        values,
        session=session,
        bar=[one for one in BAR if session is not None and session.may(one[2])],
        here=request.url.path,
        nonce=nonce_of(request),
        static=STATIC,
        base=PATH,
        now=datetime.now(UTC),
        done=_done(request),
    )
    response = HTMLResponse(html, status)
    secured(request, response)
    return response


def _done(request: Request) -> str | None:
    """What was just done, from the address; only known texts, so that an outsider can't inject
    any."""
    title: str | None = request.app.state.titles.get(request.query_params.get("done", ""))
    return title


def ago(at: str | datetime | None, now: datetime) -> str:
    """How long ago a moment is, or how far ahead, in the largest unit that fits twice."""
    if at is None:
        return "–"
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    seconds = (now - at).total_seconds()
    text = duration(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def duration(seconds: float | None) -> str:
    """A duration in the form for people: 90 s, 14 min, 5 h, 3 days."""
    if seconds is None:
        return "–"
    for unit_s, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def _moment(at: str | datetime | None, now: datetime) -> Markup:
    """A moment as its distance from now, with the moment itself as well."""
    if at is None:
        return Markup("–")
    exact = at if isinstance(at, str) else at.isoformat()
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, ago(at, now))


# Ids that have a page, by their list.
LISTS = {
    "ch_": "charges",
    "re_": "refunds",
    "dp_": "disputes",
    "apr_": "approvals",
    "we_": "endpoints",
    "del_": "deliveries",
    "price_": "prices",
}
_IDS = re.compile(rf"\b({'|'.join(LISTS)}){ID_PATTERN}\b")


def linked(text: str) -> Markup:
    """A text in which every id with a page is a link."""
    parts, end = [], 0
    for found in _IDS.finditer(text):
        path = f"{PATH}/{LISTS[found[1]]}/{found[0]}"
        link = Markup('<a class="id" href="{}">{}</a>').format(path, found[0])
        parts += [escape(text[end : found.start()]), link]
        end = found.end()
    return Markup().join([*parts, escape(text[end:])])


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(ago=ago, duration=duration, moment=_moment, linked=linked)
    made.globals["money"] = in_words
    return made


_templates = _environment()
