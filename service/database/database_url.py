"""A database's URL as operators write it: one host or several, and options that are kept.

Two ways to name several hosts are read: libpq's own, `postgresql://user:pw@h1:5432,h2:5433/name`
(PostgreSQL, "Connection URIs" and "Specifying Multiple Hosts"), and SQLAlchemy's,
`postgresql+psycopg://user:pw@/name?host=h1:5432&host=h2:5433`.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:  # slow to import, and commands without a database read settings, too
    from sqlalchemy import URL

SCHEMES = frozenset({"postgresql+psycopg", "postgresql", "postgres"})
PORT = 5432

# A host, and its port or None.
Host = tuple[str, int | None]

# `-c name=value`, `-cname=value`, `--name=value`: the forms that a server accepts in `options`.
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:\\.|[^\\\s])*)")


def normalised(url: str) -> str:
    """The URL in the one spelling that all code here reads. Raises ValueError.

    With our driver, whatever a hosting provider's URL says, and hosts as SQLAlchemy names them.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme, separator, rest = url.partition("://")
    if scheme not in SCHEMES or not separator:
        raise ValueError("no PostgreSQL URL")
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    name, question, query = path.partition("?")
    if not slash or not name.strip("/"):
        raise ValueError("no database")
    if "," in hosts:
        if not all(hosts.split(",")):
            raise ValueError("a host is empty")
        named = "&".join(f"host={quote(host, safe=':[]')}" for host in hosts.split(","))
        query = f"{named}&{query}" if query else named
        url = f"postgresql+psycopg://{user}{at}/{name}?{query}"
    else:
        _ = urlsplit(url).port  # raises for an invalid port
        url = f"postgresql+psycopg://{place}/{name}{question}{query}"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(str(error)) from None
    hosts_of(parsed)
    return url


def hosts_of(url: "URL") -> list[Host]:
    """The hosts in the order in which they are tried; [] leaves that to libpq. Raises
    ValueError."""
    named = url.query.get("host")
    if not named:
        return [(url.host, url.port)] if url.host else []
    if isinstance(named, str) and (named.startswith("/") or "port" in url.query):
        ports = _words(url.query.get("port", ""))
        found = [(host, int(port) if port else None) for host, port in _paired(named, ports)]
    else:
        found = [_host(one) for one in _words(named)]
    if not all(host for host, _ in found):
        raise ValueError("a host is empty")
    return found


def place(url: str) -> str:
    """Where a URL points to, without user and password."""
    return f"postgresql://{address(url)}"


def address(url: str) -> str:
    """Hosts, ports and the database's name: `db1:5432,db2:5432/billing`."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    hosts = [f"{_shown(host)}:{port or PORT}" for host, port in hosts_of(parsed)]
    return f"{','.join(hosts) or 'localhost'}/{parsed.database}"


def options_of(url: "URL") -> dict[str, str]:
    """The server's settings that the URL's `options` give, by name: `{"search_path": "shop"}`."""
    given = url.query.get("options", "")
    text = given if isinstance(given, str) else " ".join(given)
    return {
        name.replace("-", "_"): re.sub(r"\\(.)", r"\1", value)
        for name, value in _OPTION.findall(text)
    }


def _words(value: str | Sequence[str]) -> list[str]:
    return value.split(",") if isinstance(value, str) else list(value)


def _paired(hosts: str, ports: Sequence[str]) -> list[tuple[str, str]]:
    named = hosts.split(",")
    if len(ports) == 1:  # libpq: one port goes for all
        ports = [ports[0]] * len(named)
    return list(zip(named, ports, strict=True))


def _host(text: str) -> Host:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ValueError("a bracket is open")
        return host, int(rest[1:]) if rest.startswith(":") else None
    host, colon, port = text.partition(":")
    return host, int(port) if colon and port else None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
