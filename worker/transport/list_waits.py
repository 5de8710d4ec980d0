"""How a worker waits at Redis: for one list, and then checks whether any list has items."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError


def begin(client: Any, wait: Sequence[Any], lists: Sequence[str]) -> None:
    """Send a blocking command, followed by the question whether any of these lists exists: Redis
    answers that when the wait has ended, and both answers come at once. So an idle worker wakes up
    once for each wait, and reads lists only if there is something."""
    connection = client.connection
    connection.send_packed_command(connection.pack_commands([wait, ["EXISTS", *lists]]))


def end(client: Any, name: str, **options: Any) -> tuple[bool, ResponseError | None]:
    """Whether any list exists, and why Redis refused to wait, if so. Raises other errors."""
    refused = None
    try:
        client.parse_response(client.connection, name, **options)
    except ResponseError as error:
        refused = error
    # In that case, too: an unread answer would be taken for that of the next command.
    return client.parse_response(client.connection, "EXISTS") > 0, refused
