"""What a call is, without a network or a clock: what is asked, how it goes out, and when again.

Both clients run it: `infra.billing` waits for each step, and `infra.billing.aio` awaits it.
"""
