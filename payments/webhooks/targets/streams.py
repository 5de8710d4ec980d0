"""A stream to a target: bytes both ways, with a limit on what the peer may send."""

import asyncio
from dataclasses import dataclass
from typing import Any

# Between one message and the next: confirmations are some bytes, and a returned message is as long
# as it was. A peer that sends more is cut off, so that no length it announces fills our memory.
SAID_BYTES_MAX = 1024 * 1024


class Reader(asyncio.StreamReader):
    """A reader that aborts its stream when the peer sends too much."""

    said = 0

    def feed_data(self, data: Any) -> None:
        self.said += len(data)
        if self.said <= SAID_BYTES_MAX:
            super().feed_data(data)
        elif self.exception() is None:
            self.set_exception(ConnectionResetError("the peer says too much"))


@dataclass(frozen=True, slots=True)
class Stream:
    """An open connection to a checked address. Encrypted where its scheme says so."""

    reader: Reader
    writer: asyncio.StreamWriter
    host: str
    port: int
    remote_ip: str

    def hear(self) -> None:
        """The peer may send again, as something was sent to it."""
        self.reader.said = 0

    def abort(self) -> None:
        """Close it now, whatever the peer does."""
        self.writer.transport.abort()
