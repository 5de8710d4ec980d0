"""How many files and sockets this process may have open: as many as it may ask for."""

import resource

# Distributions start with 1,024, for programs that use `select`; ours don't. Our processes need no
# more than this, and some libraries iterate over all possible descriptors.
FILES_MAX = 65_536


def raised() -> int:
    """Raise this process's limit towards the operator's maximum; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft == resource.RLIM_INFINITY:
        return FILES_MAX
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)
