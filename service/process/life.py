"""The sign of life that a process leaves, for `billing healthcheck`.

A file for each role, whose modification time is the sign. It is only updated by what proves
progress: a watchdog's check that found nothing, a sweep that began or ended. So it reveals a
process that hangs, and not a broker or a database that is away, for which a restart does not help.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from service import log

logger = log.get(__name__)

# More than the time after which a silent beat ends itself (45 s), or a watchdog's check may take.
LIMIT_S = 60.0


class Life:
    """The sign of life of this process. Without a folder it leaves none."""

    def __init__(self, folder: Path | None, role: str) -> None:
        self._path = folder / role if folder else None
        self._is_told = False

    def show(self) -> None:
        """It lives at this moment. If the disk refuses, that stops no payment: it is logged
        once."""
        if self._path is None:
            return
        try:
            leave(self._path.parent, self._path.name)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                logger.error("no sign of life", see="BILLING_RUN_DIR", error=error.strerror)


def leave(folder: Path, role: str) -> None:
    """Leave a sign of the role at this moment. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / role
    path.touch()
    os.utime(path)


def age_s(folder: Path, role: str) -> float | None:
    """Seconds since the role's last sign; None if there never was one."""
    try:
        return max(0.0, time.time() - (folder / role).stat().st_mtime)
    except OSError:
        return None


def roles(folder: Path, known: Sequence[str]) -> Sequence[str]:
    """Those of the known roles that have left a sign."""
    return [role for role in known if age_s(folder, role) is not None]
