"""In which order modules are mutated: where money is decided first."""

# Modules and folders; what is named by none comes last.
FIRST = (
    "lifecycle/moving/", "lifecycle/settlement.py", "lifecycle/accepting/", "lifecycle/claims.py",
    "lifecycle/refund_claims.py", "lifecycle/", "intake/once.py",
    "intake/judging.py", "parsing.py", "access/", "catalog/", "webhooks/",
)  # fmt: skip


def rank(path: str) -> tuple[int, str]:
    """To sort modules by, from the root of the checkout."""
    name = path.removeprefix("payments/")
    for i, first in enumerate(FIRST):
        if name == first or (first.endswith("/") and name.startswith(first)):
            return i, path
    return len(FIRST), path
