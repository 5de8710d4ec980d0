"""What Flower shows and keeps: the file for its `--conf`, with the names of its options."""

import ast
from decimal import Decimal
from typing import Any

from infra.billing.contract.money import exponent
from service import data_dir, log, settings
from service.data_dir import DataDirError

logger = log.get(__name__)

# To fit a screen: which, its result, when, and its request. The id of a message comes last.
tasks_columns = "name,state,received,runtime,kwargs,result,worker,uuid"
# Half an hour at five a second: 3 KB each, so 30 MB, and some tenths of a second to save them all.
max_tasks = 10_000
# How much of the history a kill loses; a stop saves first.
state_save_interval = 60_000
# For workers that are gone: each deployment may bring new ones.
purge_offline_workers = 3_600


def _file() -> str | None:
    """The file of the history: in the data folder, private, unless FLOWER_DB says otherwise."""
    if given := settings.outside_environ().get("FLOWER_DB"):
        return given
    folder = settings.read().data_dir
    try:
        data_dir.create(folder)
    except DataDirError as error:
        logger.warning("Flower forgets its history when it ends", reason=str(error))
        return None
    return str(folder / "flower")


def format_task(task: Any) -> Any:
    """A task in the form for people: `19.99 USD`, an id, a state, without braces. Searches use the
    original text."""
    given, found = _fields(task.kwargs), _fields(task.result)
    if given:
        task.kwargs = _asked(given)
    if found:
        known = set(given.values())
        task.result = " ".join(str(one) for one in found.values() if one not in known)
    return task


def _fields(text: Any) -> dict[str, Any]:
    """The fields that our workers wrote, or none."""
    try:
        read = ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError):
        return {}
    return read if isinstance(read, dict) else {}


def _asked(given: dict[str, Any]) -> str:
    left, words = dict(given), []
    amount, currency = left.get("amount"), left.get("currency")
    if isinstance(amount, int) and isinstance(currency, str):
        del left["amount"], left["currency"]
        code = currency.upper()
        try:
            words.append(f"{Decimal(amount).scaleb(-exponent(code)):f} {code}")
        except ValueError:  # not a currency: it was refused for that
            words.append(f"{amount} {currency}")
    for name, value in left.items():
        words.append(
            str(value) if name in ("id", "charge_id", "endpoint_id") else f"{name} {value}"
        )
    return ", ".join(words)


if _path := _file():
    db, persistent = _path, True
