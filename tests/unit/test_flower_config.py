"""What Flower shows of a task, and where it keeps its history."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flower.options import options

from tests.support.every import every

FILE = Path(__file__).parents[2] / "service" / "broker" / "flower_config.py"
ID = "ch_" + "a" * 26


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATA_DIR", str(tmp_path / "data"))


def shown(kwargs: Any, result: Any = None) -> tuple[Any, Any]:
    task = runpy.run_path(str(FILE))["format_task"](SimpleNamespace(kwargs=kwargs, result=result))
    return task.kwargs, task.result


@every(
    "kwargs, result, seen",
    [
        (f"{{'id': '{ID}'}}", f"{{'state': 'succeeded', 'charge_id': '{ID}'}}", (ID, "succeeded")),
        (
            "{'amount': 1999, 'currency': 'usd', 'idempotency_key': '#e29c', 'hidden': 1}",
            f"{{'state': 'failed', 'charge_id': '{ID}'}}",
            ("19.99 USD, idempotency_key #e29c, hidden 1", f"failed {ID}"),
        ),
        ("{'amount': 500, 'currency': 'JPY'}", None, ("500 JPY", None)),
        ("{'amount': 5, 'currency': 'none'}", "3", ("5 none", "3")),
        ("{'endpoint_id': 'we_1'}", "{'endpoint_id': 'we_1'}", ("we_1", "")),
        ("{}", None, ("{}", None)),
        ("(of a stranger", None, ("(of a stranger", None)),
        (None, None, (None, None)),
    ],
)
def test_a_task_is_shown_as_people_read_it(kwargs: Any, result: Any, seen: tuple[Any, Any]) -> None:
    assert shown(kwargs, result) == seen


def test_the_history_is_kept_in_the_data_folder_and_bounded(tmp_path: Path) -> None:
    told = runpy.run_path(str(FILE))
    assert (told["db"], told["persistent"]) == (str(tmp_path / "data" / "flower"), True)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert told["max_tasks"] == 10_000


def test_who_names_another_file_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_DB", "/var/lib/flower")
    assert runpy.run_path(str(FILE))["db"] == "/var/lib/flower"


def test_a_folder_that_cannot_be_made_costs_the_history_and_not_flower(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "persistent" not in runpy.run_path(str(FILE))


def test_flower_knows_each_option() -> None:
    told = runpy.run_path(str(FILE))
    known = set(options.as_dict())
    assert {"tasks_columns", "max_tasks", "state_save_interval", "db", "format_task"} <= known
    assert {"persistent", "purge_offline_workers"} <= known & told.keys()
