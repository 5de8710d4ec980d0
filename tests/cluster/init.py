"""The first process of a machine: keeps its programs running, as systemd does.

It has number 1 in a PID namespace of its own. When it is killed, the kernel kills whatever else
runs there, at once: a machine that loses its power.

    python init.py SPEC     # what `machines.Machine` has written
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RESTART_S = 1.0
LOOK_S = 0.1


def main() -> None:
    """Never returns."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    socket.sethostname(spec["name"])
    # After a boot other numbers are given out: a lock file from before names nobody who lives.
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(spec["last_pid"]))
    held, logs = Path(spec["held"]), Path(spec["logs"])
    running: dict[str, subprocess.Popen[bytes]] = {}
    ended_at: dict[str, float] = {}
    while True:
        for program in spec["programs"]:
            name = program["name"]
            is_held = (held / name).exists()
            process = running.get(name)
            if process and is_held:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process and process.poll() is not None:
                del running[name]
                ended_at[name] = time.monotonic()
            elif not process and not is_held and _rested(ended_at.get(name)):
                with (logs / f"{name}.log").open("ab") as log:
                    running[name] = subprocess.Popen(
                        program["command"], env=program["environ"], cwd=program["folder"],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    )  # fmt: skip
        _bury({process.pid for process in running.values()})
        time.sleep(LOOK_S)


def _rested(ended_at: float | None) -> bool:
    return ended_at is None or time.monotonic() - ended_at > RESTART_S


def _bury(ours: set[int]) -> None:
    """Orphans come to the first process; those that have ended wait to be taken note of."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return  # Popen takes note of its own
        os.waitpid(found.si_pid, 0)


if __name__ == "__main__":
    main()
