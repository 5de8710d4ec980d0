"""What `billing up` says last, and when."""

from pathlib import Path
from typing import Any

import pytest

from local.welcome import PATIENCE_S, Door, Lookout, exports
from service.settings import Settings

URL = "redis://:hunter2@127.0.0.1:5000/0"
OURS = ["worker", "webhooks", "web", "beat", "flower", "something"]
READY_LINES = {
    "worker": "payments@host ready.",
    "webhooks": "webhooks@host ready.",
    "web": "listening url=http://127.0.0.1:8000",
    "beat": "sweeper ready",
    "flower": "Connected to redis://:***@127.0.0.1:5000/0",
}


class Told(list[list[str]]):
    """What the lookout was called with."""


def test_it_is_said_once_when_the_last_process_is_ready() -> None:
    told = Told()
    lookout = Lookout(OURS, told.append)
    for name, line in READY_LINES.items():
        lookout.look()
        assert told == []
        lookout.hear(name, line)
    lookout.look()
    lookout.look()
    assert told == [[]]


def test_who_is_late_is_named_after_a_while() -> None:
    told, now = Told(), 0.0
    lookout = Lookout(OURS, told.append, clock=lambda: now)
    for name in ("worker", "webhooks", "web", "flower"):
        lookout.hear(name, READY_LINES[name])
    now = PATIENCE_S
    lookout.look()
    assert told == [["beat"]]


def test_processes_of_somebody_else_are_not_waited_for() -> None:
    told = Told()
    Lookout(["somebody"], told.append).look()
    assert told == [[]]


def lines(settings: Settings, **how: Any) -> list[str]:
    return [line for way in exports(settings, **how).values() for line in way]


def test_a_person_sees_the_url_to_copy_and_a_file_does_not() -> None:
    settings = Settings(broker_url=URL)
    assert lines(settings, own_broker=True, show_secret=True) == [f"export BILLING_URL={URL}"]
    (line,) = lines(settings, own_broker=True, show_secret=False)
    assert line.startswith('export BILLING_URL="$(')
    assert line.endswith(' url)"')


@pytest.mark.parametrize("show_secret", [True, False])
def test_a_broker_of_the_users_own_is_never_shown(show_secret: bool) -> None:
    found = lines(Settings(broker_url=URL), own_broker=False, show_secret=show_secret)
    assert found == ["export BILLING_URL=$BILLING_BROKER_URL"]


def test_another_data_folder_is_to_be_exported_too(tmp_path: Path) -> None:
    settings = Settings(broker_url=URL, data_dir=tmp_path)
    web = Door("http://127.0.0.1:8000", None)
    for way in exports(settings, own_broker=True, show_secret=True, web=web).values():
        assert way[0] == f"export BILLING_DATA_DIR={tmp_path}"


def test_the_http_door_comes_first_with_a_key_that_only_a_person_sees() -> None:
    web = Door("http://127.0.0.1:8000", "key_a_b")
    settings = Settings(broker_url=URL)
    url, key, broker = lines(settings, own_broker=True, show_secret=True, web=web)
    assert url == "export BILLING_URL=http://127.0.0.1:8000"
    assert key == "export BILLING_API_KEY=key_a_b"
    assert broker == f"export BILLING_URL={URL}"
    told = "\n".join(lines(settings, own_broker=True, show_secret=False, web=web))
    assert "key_a_b" not in told
    assert ' keys development)"' in told


def test_a_database_of_the_users_own_gets_no_key_unasked() -> None:
    web = Door("http://127.0.0.1:8000", None)
    found = lines(Settings(broker_url=URL), own_broker=False, show_secret=True, web=web)
    assert "billing keys create" in found[1]
