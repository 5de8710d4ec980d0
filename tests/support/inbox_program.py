"""A receiver as a process of its own: handles the webhook that it is given on stdin, once.

`python inbox_program.py STORE`, where STORE is a file of SQLite or the URL of a PostgreSQL. A line
of stdin is a webhook as JSON; a line of stdout says what became of it. With `"hold": true` the work
says `working` when it is done, and waits for another line before it lets the inbox commit.
"""

import json
import sqlite3
import sys
from typing import Any

from infra import billing

INBOX = billing.webhook.Inbox("whsec_" + "A" * 32)


def connect(store: str) -> Any:
    if "://" not in store:
        return sqlite3.connect(store, timeout=60)
    import psycopg

    return psycopg.connect(store)


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(store: str) -> None:
    connection = connect(store)
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    for line in sys.stdin:
        webhook = json.loads(line)

        def work(event: Any, connection: Any, webhook: Any = webhook) -> None:
            connection.execute(f"INSERT INTO done (event_id) VALUES ({mark})", (event.id,))
            if webhook.get("hold"):
                say("working")
                sys.stdin.readline()

        say("asked")
        receipt = INBOX.handle(webhook["body"], webhook["headers"], connection, work)
        say(receipt.verdict)


if __name__ == "__main__":
    main(sys.argv[1])
