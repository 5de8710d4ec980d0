"""A port of this machine for a server that must be found at the same one after it died."""

import os
import random
import socket

# Below those that the system gives to whoever connects: else one of them could take it meanwhile.
FIRST, LAST = 20_000, 32_000
_dice = random.SystemRandom()  # other tests of this run draw the same numbers from `random`
_given: set[int] = set()


def free_port() -> int:
    """One on which nobody listens, and that nobody else in this run is given: the server may start
    long after, and be away for a while."""
    ports = share(
        os.environ.get("PYTEST_XDIST_WORKER", "gw0"),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )
    for _ in range(100):
        port = _dice.choice(ports)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError("no free port on 127.0.0.1")


def share(process: str, processes: int) -> range:
    """The ports of one of the processes that run the suite side by side, such as `gw3` of 4."""
    number = int(process.removeprefix("gw"))
    return range(FIRST + number % processes, LAST, processes)
