"""How receivers are notified: events, fan-out, signature, target check, delivery.

::

    events      writes an event, and a delivery for each endpoint that wants it
    endpoints   adds, changes and disables endpoints; pings and replays add deliveries by hand
    delivery    runs the drainers of a process
     └► draining   one endpoint: which deliveries are posted, when, and what came of each
         └► targets  where they go, by the scheme of the URL
             └► post   the HTTP request itself (connection, target, bodies, reasons)
    records     what is kept of deliveries and attempts, and how it is read
    leftovers   gives up what waits for deleted endpoints
    feed        the same events, for services that poll
"""
