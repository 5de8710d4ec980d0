"""Requests that a worker carries on one event loop, without a thread for each.

::

    broker ─► transport ─► plain ─► flights ─► carrying ─► executor   claim, call, settle: awaited
                  ▲                    │
                  └────────────────────┘   what ended is acknowledged and told to Flower, many at
                                           once; or it is given to Celery

What is plainly a charge or refund that somebody asks for, or one that is due, goes this way. The
transport fetches many at once, and kombu sees none of those that `plain` can read at a glance. The
rest goes Celery's: orders that are rare, sweeps, webhooks. And so does whatever goes wrong here
before it is done: to do a request again is to find it done, so the way that knows how to refuse,
to keep and to tell has the last word on all that isn't plain success.
"""
