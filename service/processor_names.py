"""How settings write which processors there are, and what the sandbox takes."""

import re
from importlib.metadata import entry_points

# Processors of our own; packages bring others as entry points of this group, by their names.
BUILT_IN_PROCESSORS = frozenset({"sandbox", "stripe"})
PROCESSOR_ENTRY_POINTS = "billing.processors"
# A currency, the least, the most and the last digits of what the sandbox takes.
SANDBOX_LIMIT = re.compile(r"([A-Z]{3}):([0-9]{1,15})-([0-9]{1,15})(?:/([0-9]{1,9}))?")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def is_processor(name: str) -> bool:
    """Whether there is a processor of this name. What a package brings is found, not loaded."""
    if name in BUILT_IN_PROCESSORS:
        return True
    brought = entry_points(group=PROCESSOR_ENTRY_POINTS, name=name)
    return _NAME.fullmatch(name) is not None and bool(brought)
