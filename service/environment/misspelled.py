"""Names of environment variables that are nearly, but not quite, those of settings."""

import difflib
from collections.abc import Iterable


def find(given: Iterable[str], known: Iterable[str], *, prefix: str) -> tuple[str, str] | None:
    """The first name given that begins with the prefix, is no known one and is much like one of
    them; and that one. None when there is none.

    A misspelled BILLING_DATABASE_URL would otherwise send payments into the embedded database.
    Names unlike any setting are left alone: Kubernetes sets BILLING_PORT for a service `billing`.
    """
    names = {f"{prefix}{name}".upper() for name in known}
    for name in sorted(given):
        if not name.upper().startswith(prefix) or name.upper() in names:
            continue
        rest = name.upper().removeprefix(prefix)
        bare = {one.removeprefix(prefix) for one in names}
        if close := difflib.get_close_matches(rest, bare, n=1, cutoff=0.85):
            return name, prefix + close[0]
    return None
