from datetime import timedelta

import pytest

from syncd.dispatch.throttle import Budget
from syncd.providers.port import Usage


async def test_a_request_stays_spent_after_its_answer() -> None:
    budget = Budget(100)
    async with budget.slot():
        assert budget.taken == 1
    assert budget.taken == 1


async def test_a_request_that_failed_is_spent_as_well() -> None:
    budget = Budget(100)
    with pytest.raises(TimeoutError):
        async with budget.slot():
            raise TimeoutError
    assert budget.taken == 1


async def test_requests_of_an_earlier_process_count_for_their_minute() -> None:
    budget = Budget(100)
    budget.restore([0.0, 59.0, 61.0])
    assert budget.taken == 2


async def test_other_users_of_the_token_are_booked_from_what_the_service_says_is_left() -> None:
    budget = Budget(100)
    async with budget.slot() as slot:
        slot.answered(Usage(status=200, limit=100, remaining=92))
    assert budget.taken == 8
    assert budget.rate_limit == 97


async def test_what_is_left_by_our_own_requests_invents_nobody() -> None:
    budget = Budget(100)
    async with budget.slot() as first, budget.slot() as second:
        second.answered(Usage(status=200, limit=100, remaining=98))
        first.answered(Usage(status=200, limit=100, remaining=99))
    assert (budget.taken, budget.rate_limit) == (2, 100)


async def test_a_smaller_limit_of_the_service_is_taken_over() -> None:
    budget = Budget(100)
    async with budget.slot() as slot:
        slot.answered(Usage(status=200, limit=40, remaining=39))
    assert budget.rate_limit == 40


async def test_after_a_429_nobody_goes_before_the_service_allows() -> None:
    budget = Budget(100)
    async with budget.slot() as slot:
        slot.answered(Usage(status=429, retry_after=timedelta(seconds=30)))
    assert 29 < budget.closed_for <= 30


async def test_a_burst_goes_at_once_and_then_requests_are_spaced() -> None:
    budget = Budget(100)
    for _ in range(40):
        async with budget.slot():
            assert budget.pause == 0
    async with budget.slot():
        pass
    assert 0.5 < budget.pause < 0.6
