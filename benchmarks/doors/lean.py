"""The lean door: uvicorn in its fastest form around one handler."""

import sys
from collections.abc import Sequence

from benchmarks.doors.door import Door


class Lean(Door):
    name = "lean"

    def command(self) -> Sequence[str]:
        return [
            sys.executable,
            *("-m", "uvicorn", "benchmarks.doors.lean_app:app"),
            *("--port", str(self.port), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--ws", "none"),
        ]

    def environment(self) -> dict[str, str]:
        return {"LEAN_DATABASE_URL": self.database_url}
