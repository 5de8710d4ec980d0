"""How this process looks for garbage: seldom, and never again through what it has imported."""

import gc

# New objects before those that are new are looked through; Python's own is 700. Dozens come with
# every post of a webhook, and nearly all of them go by themselves.
NEW_MAX = 10_000


def look_seldom() -> None:
    """To be called once all is imported and made that lives as long as the process.

    Looking through that again and again is a quarter of the CPU of posting webhooks.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_MAX, *gc.get_threshold()[1:])
