"""How one endpoint is emptied of what is due for it.

::

    drainer      one lease after the other, until nothing is due or the time is up
     └► leased_drain  which deliveries are posted, and when
         ├► nudges     what wakes it: a message, or what is heard (listening)
         ├► ready      what it has claimed and not begun, and what of it comes first
         ├► pace       how fast, where the rate is limited
         ├► recording  its talk with the database, and patience while that is away
         │   └► drains   the lease, what is due, what came of each post (its SQL: drain_statements)
         └► posting    signs a delivery, and works out what to record of the answer (schedule)
    together     asks the database for all drainers of a process
    leases       keeps those of all drainers of a process
    listening    hears for all drainers of a process what is due
"""
