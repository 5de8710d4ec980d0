"""Settings whose value stands in a file, as containers get their secrets."""

from pathlib import Path

import pytest

from service import settings
from service.settings import Settings, variable
from service.settings_errors import SettingsError
from tests.support.every import every

SECRET = "hunter2"
URL = f"postgresql://billing:{SECRET}@db:5432/billing"


def refusal() -> str:
    with pytest.raises(SettingsError) as refused:
        settings.read()
    return str(refused.value)


@every("content", [URL, f"{URL}\n", f"{URL}\r\n"])
def test_a_value_is_read_from_the_file_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    (tmp_path / "url").write_bytes(content.encode())
    monkeypatch.setenv("BILLING_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert settings.read().database_url == f"postgresql+psycopg://billing:{SECRET}@db:5432/billing"


def test_every_setting_can_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {"http_port": "8123", "processors": "sandbox,stripe", "http_access_log": "true"}
    given |= {"stripe_api_key": "sk_test_12345678", "lease_s": "30", "run_dir": str(tmp_path)}
    for name, value in given.items():
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{variable(name)}_FILE", str(tmp_path / name))
    found = settings.read()
    assert (found.http_port, found.processors) == (8123, ("sandbox", "stripe"))
    assert (found.http_access_log, found.lease_s, found.run_dir) == (True, 30.0, tmp_path)
    assert found.stripe_api_key.get_secret_value() == given["stripe_api_key"]


def test_both_ways_at_once_are_refused_by_both_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("BILLING_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("BILLING_DATABASE_URL", URL)
    said = refusal()
    assert "BILLING_DATABASE_URL and BILLING_DATABASE_URL_FILE" in said
    assert SECRET not in said


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL_FILE", "")
    monkeypatch.setenv("BILLING_DATABASE_URL", URL)
    assert SECRET in settings.read().database_url


@every("content", [None, b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_what_is_no_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("BILLING_STRIPE_API_KEY_FILE", str(tmp_path / "key"))
    expected = "BILLING_STRIPE_API_KEY_FILE must be the absolute path of a file that holds the"
    assert refusal().startswith(expected)


def test_a_secret_that_was_written_where_its_path_belongs_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BILLING_STRIPE_API_KEY_FILE", SECRET)
    said = refusal()
    assert "BILLING_STRIPE_API_KEY_FILE" in said
    assert SECRET not in said


def test_a_wrong_value_in_a_file_is_refused_by_the_setting_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(SECRET)
    monkeypatch.setenv("BILLING_STRIPE_API_KEY_FILE", str(tmp_path / "key"))
    said = refusal()
    assert "BILLING_STRIPE_API_KEY must be" in said
    assert SECRET not in said


def test_a_misspelled_one_is_refused_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABSE_URL_FILE", "/run/secrets/url")
    assert "did you mean BILLING_DATABASE_URL_FILE?" in refusal()


def test_an_argument_needs_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL_FILE", str(tmp_path / "not there"))
    assert SECRET in settings.read(database_url=URL).database_url


def test_no_setting_is_called_like_the_file_of_another() -> None:
    assert not [name for name in Settings.model_fields if name.endswith("_file")]
