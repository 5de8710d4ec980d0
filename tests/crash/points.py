"""Where a process ends itself, as by `kill -9`, when a test asks for it.

To let it die at a point, put a file with the point's name into the folder CRASH_POINTS; the process
takes the file away and kills itself.
"""

import os
import signal
from pathlib import Path

POINTS = Path(os.environ["CRASH_POINTS"])


def die_at(point: str) -> None:
    """End here, if the test asked for it."""
    try:
        (POINTS / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
