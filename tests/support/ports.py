"""A port of this machine for a server that must be found at the same one after it died."""

import random
import socket

# Below those that the system gives to whoever connects: else one of them could take it meanwhile.
FIRST, LAST = 20_000, 32_000
_dice = random.SystemRandom()  # other tests of this run draw the same numbers from `random`


def free_port() -> int:
    """One on which nobody listens."""
    for _ in range(100):
        port = _dice.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port on 127.0.0.1")
