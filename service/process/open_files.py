"""How many files and sockets this process may have open: as many as it may ask for."""

import resource

# Distributions begin with 1,024, for the sake of programs that wait by `select`; none of ours does.
# Beyond this nothing of ours goes, while some libraries walk through all that could be open.
FILES_MAX = 65_536


def raised() -> int:
    """Raise this process's limit towards that which the operator set; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft == resource.RLIM_INFINITY:
        return FILES_MAX
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)
