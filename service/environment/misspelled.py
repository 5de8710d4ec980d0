"""Names of environment variables that are almost those of settings."""

import difflib
from collections.abc import Iterable


def find(given: Iterable[str], known: Iterable[str], *, prefix: str) -> tuple[str, str] | None:
    """The first given name that begins with the prefix, is not known and resembles a known one; and
    that known name. None if there is none.

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
