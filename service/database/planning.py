"""Plans are made again as a connection gets older, and then once a minute.

PostgreSQL keeps the plan of a statement that runs often. That plan went by the tables as they were:
for an empty one, to read all of it, and so does each batch of a first import until autovacuum has
counted the rows, a minute or two later. A plan that is made anew goes by the pages that there are.
"""

from time import monotonic

from sqlalchemy import Connection
from sqlalchemy.pool import ConnectionPoolEntry

# To plan a connection's statements takes some ten milliseconds: nothing once a minute. A table may
# grow fourfold while a young connection's age does, so it plans again then: after 1, 4 and 16 s.
GROWTH = 4
SOONEST_S = 1.0
SELDOM_S = 60.0

FORGET = "DISCARD PLANS"
# In `info` of a connection: by our own clock, when it was made, and when it is to plan again.
MADE_AT, AGAIN_AT = "made_at", "plan_again_at"


def note_made(record: ConnectionPoolEntry) -> None:
    """Begin to count the age of a new connection."""
    record.info[MADE_AT] = now = monotonic()
    record.info[AGAIN_AT] = now + SOONEST_S


def plan_again(connection: Connection) -> None:
    """Let the server forget this connection's plans, and note when to do so next."""
    now = monotonic()
    age = now - connection.info[MADE_AT]
    connection.info[AGAIN_AT] = now + min(max((GROWTH - 1) * age, SOONEST_S), SELDOM_S)
    connection.exec_driver_sql(FORGET)
