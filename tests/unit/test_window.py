"""The window that finds itself, against receivers that are simulated by the round."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.webhooks.pacing.window import FIRST, IDLE_S, MEASURE_AFTER_S, UNKNOWN, Verdict, Window

MOST = 256

answers = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from(Verdict),
        "took_s": st.floats(0.0, 20.0),
        "was_full": st.booleans(),
        "under_way": st.integers(0, 1000),
    }
)


class Receiver:
    """Answers whole rounds: everything that is under way, after `takes_s(under way)` seconds."""

    def __init__(self, window: Window, takes_s: Callable[[int], float]) -> None:
        self.window, self.takes_s = window, takes_s
        self.now = 0.0
        window.begin(self.now)

    def rounds(self, number: int, verdict: Verdict = Verdict.GOOD, most: int = MOST) -> list[int]:
        """How many were under way in each of so many rounds."""
        widths = []
        for _ in range(number):
            under_way = self.window.places(most)
            took_s = self.takes_s(under_way)
            self.now += took_s
            widths.append(under_way)
            for still in reversed(range(under_way)):
                self.window.answered(
                    verdict,
                    took_s=took_s,
                    was_full=True,
                    under_way=still,
                    most=most,
                    now=self.now,
                )
        return widths


def constantly(seconds: float) -> Callable[[int], float]:
    return lambda _: seconds


def served_by(places: int, seconds: float) -> Callable[[int], float]:
    """A receiver that works on so many at a time: the others wait in its queue."""
    return lambda under_way: seconds * max(1.0, under_way / places)


@given(st.lists(answers), st.integers(1, 1000))
def test_there_is_always_one_place_and_never_more_than_allowed(
    history: Sequence[Mapping[str, Any]], most: int
) -> None:
    window = Window()
    now = 0.0
    for answer in history:
        now += answer["took_s"]
        window.answered(**answer, most=most, now=now)
        assert 1 <= window.places(most) <= most
        assert window.places(1) == 1


@given(st.floats(0.0, 10.0), st.integers(1, 1000))
def test_who_answers_as_fast_as_ever_soon_gets_all_it_may(seconds: float, most: int) -> None:
    receiver = Receiver(Window(), constantly(seconds))
    widths = receiver.rounds(11, most=most)
    assert widths[:2] == [min(UNKNOWN, most), min(FIRST, most)]
    assert widths[-1] == most


@given(st.integers(1, 200), st.floats(0.06, 5.0))
def test_who_works_on_so_many_at_a_time_is_kept_busy_and_has_no_long_queue(
    places: int, seconds: float
) -> None:
    receiver = Receiver(Window(), served_by(places, seconds))
    widths = receiver.rounds(400)[10:]
    # Where it is measured anew it is idle for once.
    busy = sum(min(width, places) for width in widths) / (places * len(widths))
    assert busy > 0.6
    assert max(widths) <= max(4 * (2 * places + 2), 2 * FIRST)


@given(st.integers(1, 60))
def test_what_became_slower_for_good_is_given_more_again(slower: int) -> None:
    receiver = Receiver(Window(), constantly(0.01))
    receiver.rounds(3)
    receiver.takes_s = constantly(0.2 * slower)
    receiver.rounds(1 + int(MEASURE_AFTER_S / (0.2 * slower)) + 12)
    assert receiver.rounds(MOST)[-1] == MOST


@given(st.integers(1, 8))
def test_trouble_halves_it_once_a_round_and_silence_quarters_it(rounds: int) -> None:
    for verdict, factor in ((Verdict.TROUBLE, 2), (Verdict.SILENCE, 4)):
        receiver = Receiver(Window(), constantly(0.1))
        receiver.rounds(10)
        widths = receiver.rounds(rounds, verdict)
        assert widths == [max(1, MOST // factor**n) for n in range(rounds)]


@pytest.mark.parametrize("verdict", [Verdict.TROUBLE, Verdict.SILENCE])
def test_who_never_answered_well_is_doubtful_and_gets_little_until_it_does(
    verdict: Verdict,
) -> None:
    receiver = Receiver(Window(), constantly(0.1))
    assert receiver.window.is_doubtful
    assert receiver.rounds(3, verdict) == [2, 1, 1]
    assert receiver.window.is_doubtful
    assert receiver.rounds(3) == [1, 2, 3]
    assert not receiver.window.is_doubtful
    receiver.rounds(1, verdict)
    assert receiver.window.is_doubtful


def test_after_trouble_it_opens_by_one() -> None:
    receiver = Receiver(Window(), constantly(0.1))
    receiver.rounds(5)
    receiver.rounds(1, Verdict.TROUBLE)
    first, *widths = receiver.rounds(5)
    assert widths == [first + n for n in range(1, 5)]


def test_a_probe_is_one_and_opens_by_one() -> None:
    receiver = Receiver(Window(), constantly(0.1))
    receiver.rounds(10)
    receiver.window.probe()
    assert receiver.rounds(4) == [1, 2, 3, 4]


def test_what_the_window_did_not_hold_back_opens_nothing() -> None:
    window = Window()
    for now in range(100):
        window.answered(
            Verdict.GOOD, took_s=0.1, was_full=False, under_way=3, most=MOST, now=float(now)
        )
    assert window.places(MOST) == FIRST


def test_after_a_pause_it_begins_small_and_doubles_to_where_it_was() -> None:
    receiver = Receiver(Window(), constantly(0.1))
    receiver.rounds(6)
    receiver.rounds(1, Verdict.TROUBLE)
    (was,) = receiver.rounds(1)
    receiver.now += IDLE_S + 1
    receiver.window.begin(receiver.now)
    widths = receiver.rounds(6)
    assert widths == [4, 8, 16, 32, was, was + 1]
