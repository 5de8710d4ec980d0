"""How `billing up` passes on what processes say."""

import sys

import pytest

from local.narrator import Narrator

LINE = "2026-11-22T11:44:39.376424Z [info     ] Connected to redis://:hunter2@127.0.0.1:5000/0"


@pytest.fixture
def narrator() -> Narrator:
    return Narrator("console", "info")


def test_a_password_is_masked(narrator: Narrator, capsys: pytest.CaptureFixture[str]) -> None:
    narrator.echo("flower", LINE)
    said = capsys.readouterr().out
    assert said == f"flower   | {LINE.replace('hunter2', '***')}\n"


def test_on_a_terminal_a_moment_is_short(
    narrator: Narrator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    narrator.echo("flower", LINE)
    assert "11:44:39Z [info     ] Connected to redis://:***@127.0.0.1" in capsys.readouterr().out


def test_a_log_for_machines_holds_nothing_to_copy(capsys: pytest.CaptureFixture[str]) -> None:
    Narrator("json", "info").welcome(
        {"by broker": ["export BILLING_URL=redis://:hunter2@h"]}, {"Flower": "f"}
    )
    said = capsys.readouterr().out
    assert '"Flower": "f"' in said
    assert "hunter2" not in said
