"""Garbage collection: run rarely, and never again over everything that was imported."""

import gc

# How many new objects trigger a collection of the youngest; Python's default is 700. Every post of
# a webhook creates dozens, and nearly all of them are freed without it.
NEW_MAX = 10_000


def look_seldom() -> None:
    """Call it once everything long-lived is imported and created.

    Scanning that again and again takes a quarter of the CPU of posting webhooks.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_MAX, *gc.get_threshold()[1:])
