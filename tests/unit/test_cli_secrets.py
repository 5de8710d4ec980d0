"""Secrets that are typed are read from where nobody else on the machine sees them."""

import io
from pathlib import Path

import pytest
import typer

from cli import options


def test_the_value_of_a_header_may_stand_in_a_file_or_come_from_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text("k_1\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("k_2\n"))
    typed = [f"x-a=@{key}", "x-b=-", "x-c=k_3"]
    assert options.pairs(typed, "--header") == {"x-a": "k_1", "x-b": "k_2", "x-c": "k_3"}


def test_metadata_is_taken_as_it_is_typed() -> None:
    assert options.pairs(["a=@b", "c=-"]) == {"a": "@b", "c": "-"}


def test_a_file_that_is_not_there_is_told_without_its_name(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="can't be read") as refused:
        options.pairs([f"x-a=@{tmp_path}/k_1"], "--header")
    assert "k_1" not in str(refused.value)
