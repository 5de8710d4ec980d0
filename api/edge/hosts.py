"""The host names that this service answers to: the header Host, checked before anything else.

A web page may point a name of its own at 127.0.0.1 and then send us requests under that name (DNS
rebinding). So a name must be ours. An address is always accepted: it can't be pointed elsewhere,
and Kubernetes and load balancers make health checks by address.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from api.edge.problems import BadHost, HostNotAllowed

ANY = "*"
# RFC 9112, 3.2, of RFC 3986, 3.2.2 and 3.2.3; names as DNS and Docker have them.
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,255})(?::[0-9]{0,5})?|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\](?::[0-9]{0,5})?"
)


class Hosts:
    """Our host names.

    `names` are those of BILLING_HTTP_HOSTS: a name, `.example.com` for all names below one, or `*`
    for any. Also accepted are `localhost` and names below it (RFC 6761, 6.3), every address, and
    `listening`, the address of the server.
    """

    def __init__(self, names: Iterable[str], *, listening: str) -> None:
        all_names = {name.lower() for name in (*names, listening, "localhost", ".localhost")}
        self._any = ANY in all_names
        self._names = frozenset(name.rstrip(".") for name in all_names)
        self._suffixes = tuple(name for name in all_names if name.startswith("."))

    def check(self, hosts: list[bytes], target: bytes, *, http_version: str) -> None:
        """Raise BadHost or HostNotAllowed unless the request is for us.

        `hosts` are the values of its headers Host, `target` is the request target as received.
        """
        if len(hosts) > 1 or (not hosts and http_version != "1.0"):
            raise BadHost
        # Health checks of old proxies speak HTTP/1.0 and name no host; browsers don't.
        for host in hosts:
            self._check(host)
        # The absolute form of proxies: `GET http://name/path` (RFC 9112, 3.2.2); its name counts.
        if not target.startswith(b"/") and (named := re.match(rb"[a-z]+://([^/?#]*)", target)):
            self._check(named[1])

    def _check(self, host: bytes) -> None:
        match = _HOST.fullmatch(host.decode("latin-1"))
        if match is None:
            raise BadHost
        name = (match["name"] or match["v6"]).lower().rstrip(".")
        is_ours = self._any or name in self._names or name.endswith(self._suffixes)
        if not is_ours and not _is_address(name):
            raise HostNotAllowed


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
