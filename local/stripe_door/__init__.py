"""A stand-in for Stripe: its wire shapes, its keys, its events, and every fault on demand.

A process of its own with a store of its own, apart from our database: an outside witness of what
moved. Like Stripe it knows customers, payments, refunds, disputes and payouts; unlike Stripe it
can be made to lose an answer, cut it in the middle, or tell it twice.

::

    wire: server ─► forms    what was asked, as Stripe encodes it
             ├────► road     the bytes of the answer, and what happens to them
             ├────► sender   events to the webhook URL, signed
             └────► control  what Stripe has no endpoint for: movements, time, the customer
    steering ─► faults       what the payment method makes go wrong, before or after
    account ──► keys         one answer per idempotency key
       └──────► api ─► objects    one function per endpoint, on one thread
                 └───► store ─► journal    all that one request changed is one line

A request is carried out by one function, and all that it changes is written as one line of the
journal before its answer leaves: a process that is killed has either done all of it, or nothing.
"""

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API whose shapes are answered: that of the `stripe` library 16.1."""
