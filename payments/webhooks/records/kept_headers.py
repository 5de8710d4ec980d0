"""The headers of an answer as they are kept: secrets are hidden, and everything is bounded.

Receivers are unknown servers: the framework or proxy that answers may set cookies, sessions and
tokens that we must not keep. Whether a header holds one is judged by its name.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from payments.webhooks.response_bodies import readable

# Per answer. Twenty is usual; headers beyond that, or longer ones, say nothing about a webhook.
KEPT_MAX = 50
NAME_MAX = 64
VALUE_MAX = 256
HIDDEN = "<hidden>"

_SECRET = re.compile(
    "auth|cookie|credential|csrf|jwt|key|nonce|passw|secret|session|signature|token|xsrf"
)
# The target of a redirect is shown, without the ticket and user in it.
_URLS = frozenset({"location", "content-location", "refresh", "link"})
_QUERY = re.compile(r"[?#][^\s>;,]*")
_USER = re.compile(r"//[^/\s@]*@")


def kept(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers to keep, by their names in lower case. Repeated names are joined by a comma (RFC
    9110, 5.3)."""
    by_name: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, is_secret = _named(raw_name[:NAME_MAX])
        value = HIDDEN if is_secret else _value(name, raw_value)
        if name not in by_name:
            if name and len(by_name) < KEPT_MAX:
                by_name[name] = value
        elif not is_secret:
            by_name[name] = f"{by_name[name]}, {value}"[:VALUE_MAX]
    return by_name


def in_head(head: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a head that the parser rejects: what stands before and after the colon of each
    line that has one."""
    lines = head.split(b"\n")[1:]
    pairs = (line.partition(b":") for line in lines)
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]


def _value(name: str, raw: bytes) -> str:
    value = readable(raw[:VALUE_MAX])
    if name in _URLS:
        value = _QUERY.sub("", value)
    return _USER.sub("//", value) if "//" in value else value


@lru_cache(maxsize=1024)  # receivers send the same few again and again
def _named(raw: bytes) -> tuple[str, bool]:
    """A header's name, and whether its value is a secret."""
    name = readable(raw).lower()
    return name, _SECRET.search(name) is not None
