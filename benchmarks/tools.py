"""The tools: programs that the benchmarks need and nothing else does, in an environment apart.

TaskIQ (the rival), py-spy (where the CPU goes) and Matplotlib (the plot) come from the package
registry, pinned with hashes in `tools.lock`, into `.bench/tools`. Our own locks know none of them.
"""

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("tools.lock")
FOLDER = Path(__file__).parents[1] / ".bench"


def python() -> Path:
    """The interpreter of that environment, made or made anew if need be. Raises CalledProcessError
    when the registry can't be reached."""
    environment = FOLDER / "tools"
    program = environment / "bin" / "python"
    stamp = environment / "installed.lock"
    if not stamp.exists() or stamp.read_bytes() != LOCK.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [program, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        options = ["--require-hashes", "--only-binary", ":all:", "-r", LOCK]
        subprocess.run([*pip, *options], check=True, stdout=subprocess.DEVNULL)
        stamp.write_bytes(LOCK.read_bytes())
    return program
