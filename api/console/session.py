"""Sessions at the console: signed in with an API key, or named by a proxy in front.

A session is a cookie sealed by the vault: which key, whose name, until when. Nothing of it is
stored here. The key is looked up for every page, so a session ends with its key, and has its
permissions.
"""

import json
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from api.app_state import AppState
from payments.access.scopes import OPERATE, READ, Access
from payments.access.vault import CantOpen, key_id_of
from payments.parsing import refuse_card_data
from payments.payment_errors import InsufficientScope, InvalidRequest, Unauthenticated

COOKIE, PATH = "billing_console", "/console"
HOME = f"{PATH}/"
_ABOUT = "console session"
# A working day; the next day needs a new sign-in.
SESSION_S = 12 * 3600
NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Session:
    """A person at the console. `name` is the actor in histories."""

    name: str
    access: Access

    def may(self, permission: str) -> bool:
        """Whether this person may do that."""
        try:
            self.access.require(permission)
        except InsufficientScope:
            return False
        return True


async def sign_in(request: Request, here: AppState, *, key: str, name: str) -> str:
    """The cookie of a session with this key, in this name.

    Raises Unauthenticated, RateLimited, InvalidRequest, DatabaseUnavailable.
    """
    name = " ".join(name.split())
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise InvalidRequest(
            f"your name must be 1 to {NAME_MAX} characters: it stands in the history of what you"
            " do",
            param="name",
        )
    refuse_card_data("name", name)
    access = await here.keyring.admit(request, key)
    text = json.dumps({"key": access.key_id, "name": name, "until": int(time.time()) + SESSION_S})
    return here.vault.seal(text, about=_ABOUT)


async def of(request: Request, here: AppState) -> Session | None:
    """The session of a request; None if there is none, or once it or its key has ended."""
    if (named := _named_by_proxy(request, here)) is not None:
        return named
    sealed = request.cookies.get(COOKIE)
    if sealed is None or key_id_of(sealed) is None:  # unsealed texts open as they are
        return None
    try:
        kept = json.loads(here.vault.open(sealed, about=_ABOUT))
    except (CantOpen, ValueError):
        return None
    if kept["until"] < time.time():
        return None
    try:
        access = await here.keyring.still(kept["key"])
    except Unauthenticated:
        return None
    return Session(kept["name"], access)


def give(response: Response, sealed: str, *, is_secure: bool) -> None:
    """Set the cookie of the session."""
    response.set_cookie(
        COOKIE,
        sealed,
        max_age=SESSION_S,
        path=PATH,
        secure=is_secure,
        httponly=True,
        samesite="lax",  # a link in a chat opens; forms are refused by `same_site`
    )


def take(response: Response) -> None:
    """Delete the cookie of the session."""
    response.delete_cookie(COOKIE, path=PATH)


def _named_by_proxy(request: Request, here: AppState) -> Session | None:
    """The person that a trusted proxy says it has signed in."""
    settings = here.console
    if not settings.console_proxy_header:
        return None
    names = request.headers.getlist(settings.console_proxy_header)
    # If there are several headers, the proxy may have added its own to the browser's.
    name = names[0].strip() if len(names) == 1 else ""
    is_name = 0 < len(name) <= NAME_MAX and name.isprintable()
    if not is_name or not here.limits.is_from_proxy(request):
        return None
    scope = OPERATE if name in settings.console_operators else READ
    return Session(name, Access(None, frozenset({scope}), all_producers=True))
