"""Whom a proxy in front of the console has signed in, and who only says so."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from api.console import session
from api.edge.rate_limits import Limits
from payments.access.scopes import CHARGES_READ, OPERATE
from service.settings import Settings

HEADER = b"x-forwarded-email"


def signed_in(
    *names: str | bytes, peer: str = "10.0.0.7", cookie: bytes = b""
) -> session.Session | None:
    """Who is there, by a request from `peer` with these values of the proxy's header."""
    given: Any = {
        "database_url": "postgresql://x@y/z",
        "broker_url": "redis://x",
        "http_trusted_proxies": "10.0.0.0/8",
        "console_proxy_header": "X-Forwarded-Email",
        "console_operators": "ann@example.com",
    }
    settings = Settings(**given)
    here: Any = SimpleNamespace(console=settings, limits=Limits(settings))
    values = [name if isinstance(name, bytes) else name.encode() for name in names]
    headers = [(HEADER, value) for value in values] + ([(b"cookie", cookie)] if cookie else [])
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    return asyncio.run(session.of(request, here))


def test_who_is_an_operator_may_act_and_others_may_look() -> None:
    ann, bob = signed_in("ann@example.com"), signed_in("bob@example.com")
    assert ann
    assert bob
    assert (ann.name, ann.may(OPERATE)) == ("ann@example.com", True)
    assert (bob.may(CHARGES_READ), bob.may(OPERATE)) == (True, False)


@pytest.mark.parametrize(
    ("peer", "is_believed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("::ffff:11.0.0.1", False),
        ("::1", False),
        ("unix", False),
        ("", False),
    ],
)
def test_a_name_is_believed_from_trusted_proxies_alone(peer: str, is_believed: bool) -> None:
    assert (signed_in("ann@example.com", peer=peer) is not None) is is_believed


@pytest.mark.parametrize(
    "names",
    [
        # A proxy that adds its own to what the browser sent: nobody can say which is whose.
        ("ann@example.com", "bob@example.com"),
        ("ann@example.com", "ann@example.com"),
        ("ann@example.com", ""),
        ("", "ann@example.com"),
        (),
        ("",),
        ("  ",),
        ("a" * 61,),
        ("ann\x1b[2J",),
        (b"ann\x9b2J",),
    ],
)
def test_what_is_not_one_name_signs_nobody_in(names: tuple[str | bytes, ...]) -> None:
    assert signed_in(*names) is None
