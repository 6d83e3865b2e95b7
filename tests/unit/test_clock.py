"""A clock that was set is noticed, one that is kept right is not."""

from datetime import UTC, datetime, timedelta

import pytest

from syncd.domain.clock import UNMOVED, WallClock

START = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


class Hands:
    """The hands of both clocks."""

    def __init__(self) -> None:
        self.wall, self.passed = START, 0.0
        self.clock = WallClock(lambda: self.wall, lambda: self.passed)

    def pass_time(self, seconds: float, *, shown: float) -> None:
        self.passed += seconds
        self.wall += timedelta(seconds=shown)


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_was_set_is_noticed_once(hours: int) -> None:
    hands = Hands()
    hands.pass_time(5, shown=5 + hours * 3600)
    assert hands.clock.leap() == timedelta(hours=hours)
    hands.pass_time(5, shown=5)
    assert hands.clock.leap() == UNMOVED


def test_a_clock_that_is_kept_right_is_never_taken_for_one_that_was_set() -> None:
    hands = Hands()
    for _ in range(100):
        hands.pass_time(60, shown=60.3)
        assert hands.clock.leap() == UNMOVED
