"""The base URL of the service: its parts, however much of the path is given."""

from dataclasses import dataclass
from urllib.parse import urlsplit

BASE_PATH = "/v1/billing"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Root:
    """`path` is the common prefix of all routes; it ends in /v1/billing."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == PORTS[self.scheme] else f":{self.port}"
        )


def root(url: str) -> Root:
    """The root of `https://billing.example`, `…/`, `…/prefix`, or `…/prefix/v1/billing/`.

    Raises ValueError for an invalid URL; its text quotes nothing of it.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("the url must be http://… or https://… with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the url must not hold a user; the API key says who asks")
    if parts.query or parts.fragment:
        raise ValueError("the url must end with its path: no ? and no #")
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise ValueError("the host of the url is no name of a host") from None
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    prefix = parts.path.rstrip("/").removesuffix(BASE_PATH).rstrip("/")
    return Root(parts.scheme, host, port, prefix + BASE_PATH)
