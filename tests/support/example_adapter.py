"""The adapter of docs/how-to/add-a-processor.md and its rig, as files that the page holds."""

import re
import sys
from contextlib import AbstractContextManager
from types import ModuleType

from tests.support.processors import Rig
from tests.support.programs import ROOT

PAGE = ROOT / "docs/how-to/add-a-processor.md"
_FILE = re.compile(
    r"^<!-- file: (?P<name>\w+)\.py -->\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def files() -> dict[str, str]:
    """The code of each file, by the name of its module."""
    return {one["name"]: one["code"] for one in _FILE.finditer(PAGE.read_text())}


def module(name: str) -> ModuleType:
    """One of them, imported as a reader would, who has saved it beside the others."""
    if name not in sys.modules:
        for one, code in files().items():
            made = sys.modules[one] = ModuleType(one)
            exec(compile(code, f"{PAGE.name}: {one}.py", "exec"), vars(made))  # noqa: S102  # ours
    return sys.modules[name]


def example_rig(database_url: str) -> AbstractContextManager[Rig]:
    """The page's rig."""
    made: AbstractContextManager[Rig] = module("acme_rig").rig(database_url)
    return made
