"""The tests' own table: no row passes unseen, and none hides another."""

import pytest

from tests.support.every import every


def _odd(number: int) -> None:
    assert number % 2, number


def _failures(test: object) -> BaseExceptionGroup[BaseException]:
    with pytest.raises(BaseExceptionGroup) as raised:
        test()  # type: ignore[operator]
    return raised.value


def test_all_rows_that_fail_are_named_at_once() -> None:
    failed = _failures(every("number", [1, 2, 3, 4])(_odd))
    assert failed.message == "2 of 4 rows: 2, 4"
    assert [one.__notes__ for one in failed.exceptions] == [["in the row 2"], ["in the row 4"]]


def test_what_must_be_raised_and_is_not_is_a_failure() -> None:
    @every("number", [0, 1])
    def division(number: int) -> None:
        with pytest.raises(ZeroDivisionError):
            assert 1 / number

    assert _failures(division).message == "1 of 2 rows: 1"


def test_a_row_of_several_values_is_named_by_them_by_ids_or_by_itself() -> None:
    def never(text: str, number: int) -> None:
        raise AssertionError(text, number)

    assert _failures(every("text, number", [("a", 1)])(never)).message == "1 of 1 rows: 'a'-1"
    assert _failures(every("text, number", [("a", 1)], ids=["x"])(never)).message.endswith(": x")
    assert _failures(every("text, number", [("a", 1)], ids=str)(never)).message.endswith(": a-1")
    assert _failures(every("text, number", [pytest.param("a", 1, id="y")])(never)).message.endswith(
        ": y"
    )


def test_tables_multiply() -> None:
    met = []

    @every("left", [1, 2])
    @every("right", "ab")
    def both(left: int, right: str) -> None:
        met.append((left, right))

    both()
    assert met == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_a_row_that_skips_hides_no_other() -> None:
    def skips(number: int) -> None:
        assert number == 1
        pytest.skip("not here")

    assert _failures(every("number", [1, 2])(skips)).message == "2 of 2 rows: 1, 2"


def test_a_test_of_which_every_row_skips_is_skipped() -> None:
    def skips(number: int) -> None:
        pytest.skip(f"not here: {number}")

    with pytest.raises(pytest.skip.Exception, match="not here: 1"):
        every("number", [1, 2])(skips)()


def test_what_would_not_run_is_a_mistake() -> None:
    async def later(number: int) -> None:
        raise AssertionError(number)

    with pytest.raises(TypeError, match="would not run"):
        every("number", [1])(later)  # type: ignore[arg-type]


def test_what_proves_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="proves nothing"):
        every("number", [])
    with pytest.raises(TypeError, match="does not take wrong"):
        every("wrong", [1])(_odd)
    with pytest.raises(TypeError, match="no marks of its own"):
        every("number", [pytest.param(1, marks=pytest.mark.skip)])
    with pytest.raises(ValueError, match="zip"):
        every("number", [1, 2], ids=["one"])


@every("number", [1, 2])
def test_fixtures_are_what_is_left(number: int, tmp_path: object, request: object) -> None:
    assert number
    assert tmp_path is not request
