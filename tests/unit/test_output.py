"""How answers are laid out: what stands on the right, what is wrapped, what is shown by itself."""

import sys

import pytest
from rich.console import Console

from cli import output, tables


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 24 columns."""
    monkeypatch.setattr(
        output, "console", lambda: Console(file=sys.stdout, width=24, soft_wrap=True, markup=False)
    )


def test_only_numbers_stand_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        {"id": "a", "reference": None, "count": 5, "left": 5, "active": True},
        {"id": "b", "reference": None, "count": None, "left": "without limit", "active": False},
    ]
    output.show_list(records, list(records[0]), as_json=False, nothing="nothing")
    assert capsys.readouterr().out == (
        "id  reference  count  left           active\n"
        "a   –              5  5              yes\n"
        "b   –              –  without limit  no\n"
    )


def test_names_are_bold_and_values_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        output,
        "console",
        lambda: Console(
            file=sys.stdout, width=24, soft_wrap=True, force_terminal=True, color_system="standard"
        ),
    )
    output.show({"id": "a"}, as_json=False)
    assert capsys.readouterr().out == "\x1b[1mid  \x1b[0ma\n"


def test_a_table_is_as_wide_as_what_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"id": "a", "name": "茶", "n": 1}, {"id": "b", "name": "Kaffee\n", "n": 22}]
    output.show_list(records, list(records[0]), as_json=False, nothing="nothing")
    assert capsys.readouterr().out == ("id  name      n\na   茶        1\nb   Kaffee   22\n")


@pytest.mark.usefixtures("columns")
def test_words_that_are_longer_than_the_line_stay_in_one_piece(
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = "x" * 40
    output.say(f"here is {word} in\nthe  middle of \x1b[31m it", head="  10:00  ")
    assert capsys.readouterr().out.split("\n") == [
        "  10:00  here is",
        f"         {word}",
        "         in",
        "         the  middle of",
        "         \\x1b[31m it",
        "",
    ]


@pytest.mark.usefixtures("columns")
def test_a_long_list_of_blocks_is_the_same_in_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        views = ({"id": f"{n}", "name": "something, or another"} for n in range(5))
        tables.show_many(views, ("id", "name"), as_json=False, nothing="nothing")
        return capsys.readouterr().out

    whole = shown()
    assert whole.startswith("id    0\nname  something, or\n      another\n\nid    1\n")
    monkeypatch.setattr(tables, "TABLE_ROWS", 2)
    assert shown() == whole
