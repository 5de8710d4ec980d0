"""The table of moves, and the page that draws it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from models.states import (
    CHARGE_MOVES,
    REFUND_MOVES,
    Phase,
    State,
    Status,
    phase_of,
    state_of,
    status_of,
)
from tests.support.every import every

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "states.md"
STATUSES: list[Status] = [*State, *Phase]
STATUSES.remove(State.PENDING)


def drawn(nth: int) -> set[tuple[str, str]]:
    """The arrows of the n-th diagram of the page."""
    diagram = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[nth]
    return set(re.findall(r"^ *(\S+) --> ([^\s:]+)", diagram, re.MULTILINE))


@pytest.mark.parametrize(("nth", "moves"), [(0, CHARGE_MOVES), (1, REFUND_MOVES)])
def test_the_page_draws_the_table_of_moves(
    nth: int, moves: Mapping[Status, frozenset[Status]]
) -> None:
    arrows = {(a, b) for a, b in drawn(nth) if "[*]" not in (a, b)}
    assert arrows == {(str(a), str(b)) for a, to in moves.items() for b in to}


@pytest.mark.parametrize(("nth", "first"), [(0, {"queued", "in_flight"}), (1, {"queued"})])
def test_the_page_shows_where_it_begins_and_ends(nth: int, first: set[str]) -> None:
    assert {b for a, b in drawn(nth) if a == "[*]"} == first
    assert {a for a, b in drawn(nth) if b == "[*]"} == {"succeeded", "failed"}


def test_every_status_has_its_moves() -> None:
    # Refunds alone wait for a second person.
    assert set(CHARGE_MOVES) == set(STATUSES) - {Phase.AWAITING_APPROVAL}
    # Nothing is set aside of a refund.
    assert set(REFUND_MOVES) == set(STATUSES) - {Phase.AUTHORIZED}
    assert not any(Phase.AUTHORIZED in to for to in REFUND_MOVES.values())


def test_final_is_final_but_for_a_refund_that_comes_back() -> None:
    assert CHARGE_MOVES[State.SUCCEEDED] == CHARGE_MOVES[State.FAILED] == frozenset()
    assert REFUND_MOVES[State.FAILED] == frozenset()
    assert REFUND_MOVES[State.SUCCEEDED] == {State.FAILED}


def test_what_may_have_moved_money_is_never_simply_queued_again() -> None:
    surely_not_executed: set[Status] = {
        Phase.IN_FLIGHT,  # the processor promised that nothing was
        Phase.NEEDS_REVIEW,  # a person did
    }
    # What waits for a second person was never sent.
    assert {a for a, to in REFUND_MOVES.items() if Phase.QUEUED in to} == {
        *surely_not_executed,
        Phase.AWAITING_APPROVAL,
    }
    # Of what is set aside, a capture begins.
    assert {a for a, to in CHARGE_MOVES.items() if Phase.QUEUED in to} == {
        *surely_not_executed,
        Phase.AUTHORIZED,
    }


@every("status", STATUSES)
def test_a_status_is_a_state_and_a_phase(status: Status) -> None:
    assert status_of(state_of(status), phase_of(status)) == status
    assert (state_of(status) is State.PENDING) == (phase_of(status) is not None)
