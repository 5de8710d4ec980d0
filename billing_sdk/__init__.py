"""The SDK under a second name, for programs that have a package `infra` of their own.

`infra.billing` lives in a namespace package, which an `infra/__init__.py` of the application hides.
Then `import billing_sdk as billing` finds it all the same: it is the very same package, so classes
and errors are the same under both names.
"""

import importlib
import sys
from pathlib import Path

_HOME = Path(__file__).parents[1] / "infra"


def _found() -> None:
    """Import `infra.billing` from beside us, whatever `infra` is."""
    try:
        importlib.import_module("infra.billing")
    except ModuleNotFoundError as missing:
        if missing.name != "infra.billing":
            raise
        # Somebody's package of that name was found first: it gets a second place to look in.
        infra = sys.modules["infra"]
        infra.__path__ = [*infra.__path__, str(_HOME)]
        importlib.import_module("infra.billing")
    found = Path(sys.modules["infra.billing"].__file__ or "").resolve()
    if found != (_HOME / "billing" / "__init__.py").resolve():
        raise ImportError(f"another infra.billing stands in the way of the SDK: {found}")


_found()
for _name, _module in list(sys.modules.items()):
    if _name == "infra.billing" or _name.startswith("infra.billing."):
        sys.modules["billing_sdk" + _name.removeprefix("infra.billing")] = _module
