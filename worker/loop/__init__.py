"""Requests that a worker carries on one event loop, without a thread for each.

::

    broker ─► transport ─► plain ─► flights ─► carrying ─► executor   claim, call, settle: awaited
                  ▲                    │
                  └────────────────────┘   finished ones are acknowledged and reported to Flower,
                                           many at once; or they are given to Celery

Plain requests for a charge or refund, new or due, go this way. The transport fetches many at once,
and kombu sees none of those that `plain` can read. Everything else goes Celery's way: rare tasks,
sweeps, webhooks. So does every request that fails here before it is done: repeating a request
finds it done, so Celery's way, which can refuse, quarantine and report, handles everything that
isn't a plain success.
"""
