"""Three network namespaces on a bridge of this host: each is a machine's network, and its link can
be cut.

Everything here has a name that begins with PREFIX, so that a run finds and removes what one before
it left, however that ended.
"""

import json
import os
import subprocess
from pathlib import Path

PREFIX = "billcl"
BRIDGE = f"{PREFIX}br"
NETWORK = "10.77.31.0/24"
HOST = "10.77.31.254"
"""This host among the machines: producers, receivers and the witness are here."""
NUMBERS = (1, 2, 3)
NAMESPACES = Path("/run/netns")


def address(number: int) -> str:
    """The address of a machine."""
    return f"10.77.31.{number}"


def namespace(number: int) -> str:
    return f"{PREFIX}{number}"


def obstacle() -> str | None:
    """Why there can be no such network here; None if there can."""
    if os.geteuid() != 0:
        return "it makes network namespaces, so it needs root: run it as root, or in a container"
    try:
        ip("netns", "add", f"{PREFIX}try")
        ip("netns", "delete", f"{PREFIX}try")
        routes = json.loads(ip("-json", "route", "show", "root", NETWORK) or "[]")
    except FileNotFoundError:
        return "it needs `ip` (Debian: apt install iproute2)"
    except subprocess.CalledProcessError as error:
        return f"no network namespaces can be made here: {error.stderr.strip()}"
    if any(route["dev"] != BRIDGE for route in routes):
        return f"this host has another network {NETWORK}, where the machines would be"
    return None


def make() -> None:
    """The bridge, and a namespace with a link to it for each machine."""
    remove()
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("address", "add", f"{HOST}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    for number in NUMBERS:
        name, outside = namespace(number), _outside(number)
        ip("netns", "add", name)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", name, "address", "add", f"{address(number)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("link", "set", outside, "up")
        mend(number)


def remove() -> None:
    """Everything whose name begins with PREFIX. What still runs there must have ended before."""
    for name in sorted(path.name for path in NAMESPACES.glob(f"{PREFIX}*")):
        ip("netns", "delete", name)
    for link in json.loads(ip("-json", "link", "show")):
        if link["ifname"].startswith(PREFIX):
            # With its namespace the other end of a link goes, and perhaps meanwhile.
            subprocess.run(
                ["ip", "link", "delete", link["ifname"]], check=False, capture_output=True
            )


def cut(number: int) -> None:
    """Nothing passes to or from the machine, and nobody is told: as if a switch had died."""
    ip("link", "set", _outside(number), "nomaster")


def mend(number: int) -> None:
    """The machine has its link again."""
    ip("link", "set", _outside(number), "master", BRIDGE)


def ip(*arguments: str) -> str:
    """What `ip` says."""
    command = ["ip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _outside(number: int) -> str:
    return f"{PREFIX}{number}"
