"""A bug tells its kind and place, never its values."""

import sys

import pytest

from service import faults

SECRET = "4242424242424242"


def _fault(cause: BaseException | None = None) -> faults.Fault:
    try:
        try:
            if cause is not None:
                raise cause
            {}[SECRET]
        except Exception as inner:
            raise ValueError(f"can't use {SECRET}") from inner
    except ValueError as error:
        return faults.describe(error)


def test_kinds_of_the_error_and_its_causes_are_named():
    assert _fault().kind == "ValueError from KeyError"


def test_no_message_of_any_of_them_is_kept():
    fault = _fault(RuntimeError(SECRET))
    assert SECRET not in repr(fault)
    assert SECRET not in fault.text


def test_the_place_is_our_innermost_line():
    with pytest.raises(AttributeError) as caught:
        faults.stack_of(7)  # type: ignore[arg-type]
    assert faults.describe(caught.value).where.startswith("service/faults.py:")


def test_an_error_that_was_never_raised_has_a_place_too():
    assert faults.describe(ValueError()).where == "unknown"


def test_a_thread_tells_where_it_is():
    stack = faults.stack_of(sys._getframe())
    assert stack[-1].startswith("tests/unit/test_faults.py:")
    assert stack[-1].endswith(" test_a_thread_tells_where_it_is")
    assert len(stack) <= faults.FRAMES_MAX
