"""How the due deliveries of one endpoint are made.

::

    drainer      one lease after the other, until nothing is due or the time is up
     └► leased_drain  which deliveries are posted, and when
         ├► nudges     what wakes it: a message or a notification (listening)
         ├► ready      what it has claimed and not begun, and in which order
         ├► pace       how fast, where the rate is limited
         ├► recording  its database calls, retried while the database is away
         │   └► drains   the lease, what is due, results of posts (its SQL: drain_statements)
         └► posting    signs a delivery, and works out what to record of the answer (schedule)
    together     batches the database calls of all drainers of a process
    leases       renews the leases of all drainers of a process
    listening    receives notifications for all drainers of a process
"""
