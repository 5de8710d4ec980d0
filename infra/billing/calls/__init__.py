"""Calls without a network or a clock: the request, how it is sent, and when it is retried.

Both clients run them: `infra.billing` waits for each step, and `infra.billing.aio` awaits it.
"""
