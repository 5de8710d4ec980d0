"""A processor's records of a period, compared with our tables, line by line.

::

    processor ─► reading ─► runs ─► pairs ─► matching ─► repairs
                    a page at a time   │        │           └ what is certainly safe, as a report
                    into a table ──────┘        │             of the processor would do it
                                                └ one charge or refund, ours and theirs: pure

A period never has to fit in memory: the records go through a table, where PostgreSQL joins them
with ours, and an interrupted run continues where it was.
"""
