"""How a worker waits at Redis: for one list, and to know whether any of them holds something."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError


def begin(client: Any, wait: Sequence[Any], lists: Sequence[str]) -> None:
    """Send a command that waits, and behind it the question whether any of these lists is there:
    Redis answers it when the wait has ended, and both answers come at once. So a worker at rest
    wakes up once for each wait, and goes to look into lists only if there is something."""
    connection = client.connection
    connection.send_packed_command(connection.pack_commands([wait, ["EXISTS", *lists]]))


def end(client: Any, name: str, **options: Any) -> tuple[bool, ResponseError | None]:
    """Whether any list is there, and why Redis would not wait, if so. Raises what else comes."""
    refused = None
    try:
        client.parse_response(client.connection, name, **options)
    except ResponseError as error:
        refused = error
    # Also then: an answer that is left unread would be taken for that of the next command.
    return client.parse_response(client.connection, "EXISTS") > 0, refused
