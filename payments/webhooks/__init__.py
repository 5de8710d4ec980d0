"""How the receivers learn of it: events, fan-out, signature, target check, delivery.

::

    events      writes an event, and a delivery for each endpoint that wants it
    endpoints   adds, changes and disables endpoints; pings and replays add deliveries by hand
    delivery    runs the drainers of a process
     └► drainer   one endpoint: which deliveries are posted, and when
         ├► drains    its SQL: the lease, what is due, what came of each post
         └► posting   signs a delivery, and works out what to record of the answer (schedule)
             └► post    the HTTP request itself (connection, target, bodies)
    leftovers   gives up what waits for deleted endpoints
    feed        the same events, for those who read instead of being told
"""
