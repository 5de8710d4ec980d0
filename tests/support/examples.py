"""The examples of a page between two markers, run in order as a reader would: in one shell.

<!-- run: quick start -->
… ```sh and ```python blocks, with text and other blocks between them …
<!-- end -->
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import children
from tests.support.promised import skip_or_fail
from tests.support.waiting import patience_s

_PART = re.compile(
    r"^<!-- run: (?P<name>.+?) -->$(?P<text>.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE
)
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
RUN = ("sh", "python")
SHOWN = ("json", "text")


@dataclass(frozen=True)
class Example:
    """A block that is run; `place` is where a person finds it."""

    language: str
    code: str
    place: str


@dataclass(frozen=True)
class Told:
    """What an example printed, on stdout."""

    example: Example
    text: str


def examples(page: str, name: str) -> list[Example]:
    """Those of the page's part of this name. Raises ValueError if it is not there just once, if it
    has nothing to run, or a block of which nobody can say whether it is to be run."""
    parts = [part for part in _PART.finditer(page) if part["name"] == name]
    if len(parts) != 1:
        raise ValueError(f"the page has {len(parts)} parts <!-- run: {name} --> … <!-- end -->")
    (part,) = parts
    found = []
    for block in _BLOCK.finditer(page, part.start("text"), part.end("text")):
        line = page.count("\n", 0, block.start()) + 1
        if block["language"] not in RUN + SHOWN:
            raise ValueError(f"line {line}: a block must be one of {', '.join(RUN + SHOWN)}")
        if block["language"] in RUN:
            found.append(Example(block["language"], block["code"], f"line {line}"))
    if not found:
        raise ValueError(f"there is nothing to run in <!-- run: {name} -->")
    return found


def run(
    steps: Sequence[Example],
    *,
    scratch: Path,
    folder: Path,
    environ: Mapping[str, str],
    first: str = "",
) -> list[Told]:
    """Run them in `folder`, in one `bash -eu` that first does `first`; what each printed.

    Notes of the run are left in `scratch`. Skips the test where an example wants a curl that is not
    there. Raises AssertionError that says which one failed.
    """
    if any(re.search(r"\bcurl\b", step.code) for step in steps) and not shutil.which("curl"):
        skip_or_fail("CURL", "there is no curl here")
    script = [first]
    for number, step in enumerate(steps):
        code = step.code
        if step.language == "python":
            program = scratch / f"{number}.py"
            program.write_text(code)
            code = f"{sys.executable} {program}\n"
        script.append(f"{{\n{code}}} > {scratch / str(number)}")
    done = children.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(script)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience_s() * len(steps),
        check=False,
    )
    begun = [number for number in range(len(steps)) if (scratch / str(number)).exists()]
    told = [Told(steps[number], (scratch / str(number)).read_text()) for number in begun]
    if done.returncode:
        where = steps[begun[-1]].place if begun else "the beginning"
        last = told[-1].text if told else done.stdout
        raise AssertionError(f"{where} ended with {done.returncode}:\n{last}{done.stderr}")
    return told
