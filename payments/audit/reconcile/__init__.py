"""What a processor's records of a period say, held against our tables, line by line.

::

    processor ─► reading ─► runs ─► pairs ─► matching ─► repairs
                    a page at a time   │        │           └ what is surely safe, as a report of
                    into a table ──────┘        │             the processor would do it
                                                └ one charge or refund, ours and theirs: pure

Nothing of a period is ever all in memory: the records go through a table, where PostgreSQL joins
them with ours, and a run that breaks off goes on where it was.
"""
