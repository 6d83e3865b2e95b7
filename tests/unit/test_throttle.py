"""The budget against the emulator's limiter, which counts for itself, in time that leaps."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from syncd.dispatch.throttle import Budget
from syncd.providers.port import Usage
from syncd.sandbox.billpt.limits import Limiter
from syncd.sandbox.billpt.settings import Clock, RateMode
from tests import virtual

LIMIT, MINUTE = 100, 60.0


@dataclass
class Service:
    """Counts arrivals; the way to it and back takes up to `slowest` seconds, never the same."""

    mode: RateMode = RateMode.SLIDING
    slowest: float = 0.2
    headers: bool = True
    limiter: Limiter = field(init=False)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    refused: int = 0  # to those who ask for an answer, where the limiter counts everybody

    def __post_init__(self) -> None:
        clock = Clock(monotonic=lambda: time.monotonic())  # noqa: PLW0108 - looked up late, for the leaping clock
        self.limiter = Limiter(clock, limit=LIMIT, window=MINUTE, mode=self.mode)

    async def answer(self) -> Usage:
        await asyncio.sleep(self.chance.uniform(0, self.slowest / 2))
        verdict = self.limiter.arrive()
        await asyncio.sleep(self.chance.uniform(0, self.slowest / 2))
        if not verdict.allowed:
            self.refused += 1
            return Usage(status=429, retry_after=timedelta(seconds=verdict.retry_after))
        return Usage(status=200, limit=LIMIT, remaining=verdict.remaining) if self.headers else Usage(status=200)


async def work(budget: Budget, service: Service, seconds: float) -> list[float]:
    """One request after the other, as an account's dispatcher makes them; when each was answered."""
    answered, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        async with budget.slot() as slot:
            slot.answered(await service.answer())
        answered.append(time.monotonic())
    return answered


@pytest.mark.parametrize("slowest", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("mode", list(RateMode))
def test_with_work_waiting_the_budget_is_used_and_never_exceeded(mode: RateMode, slowest: float) -> None:
    async def hour() -> Service:
        service = Service(mode, slowest)
        await work(Budget(LIMIT), service, 60 * MINUTE)
        return service

    limiter = virtual.run(hour()).limiter
    assert limiter.refused == 0
    assert limiter.worst_window() <= LIMIT
    assert len(limiter.arrivals) >= 0.99 * LIMIT * 60


@pytest.mark.parametrize("mode", list(RateMode))
def test_restarts_and_hand_overs_neither_exceed_nor_waste_it(mode: RateMode) -> None:
    async def restarts() -> Service:
        service, answered = Service(mode), list[float]()
        for length in (13.0, 31.7, 0.9, 44.0, 80.0, 7.0, 123.0, 600.0):
            budget = Budget(LIMIT)
            budget.restore(time.monotonic() - at for at in answered)  # as the ledger has them
            answered += await work(budget, service, length)
        return service

    limiter = virtual.run(restarts()).limiter
    assert limiter.refused == 0
    assert limiter.worst_window() <= LIMIT
    assert len(limiter.arrivals) >= 0.98 * LIMIT * (limiter.arrivals[-1] - limiter.arrivals[0]) / MINUTE


# Without headers a full minute shows only by a refusal, so now and then one is paid for.
@pytest.mark.parametrize(("headers", "most_refused"), [(True, 10), (False, 200)])
@pytest.mark.parametrize("mode", list(RateMode))
def test_strangers_on_the_same_token_are_made_room_for(mode: RateMode, headers: bool, most_refused: int) -> None:
    async def shared() -> Service:
        service = Service(mode, headers=headers)

        async def strangers() -> None:
            while True:
                await asyncio.sleep(service.chance.expovariate(LIMIT / 3 / MINUTE))
                service.limiter.arrive()

        others = asyncio.create_task(strangers())
        await work(Budget(LIMIT), service, 30 * MINUTE)
        others.cancel()
        return service

    service = virtual.run(shared())
    passed = len(service.limiter.arrivals) - service.limiter.refused
    assert passed >= 0.95 * LIMIT * 30
    assert service.refused <= most_refused  # of about two thousand


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


async def test_what_is_loaded_from_the_ledger_replaces_what_was_known() -> None:
    budget = Budget(100)
    async with budget.slot():
        pass
    budget.restore([3.0, -0.1])  # the clock of another process may be a little ahead
    assert budget.taken == 2


async def test_a_ledger_whose_clock_was_set_makes_nobody_forget_what_he_sent() -> None:
    budget = Budget(100)
    for _ in range(3):
        async with budget.slot():
            pass
    budget.restore([3600.0, 3601.0, 3602.0])  # set an hour forward meanwhile
    assert budget.taken == 3
    budget.restore([-3600.0, -3599.0, -3598.0])  # and back
    assert 0 < budget.wait_seconds + 1 <= 61
    assert budget.taken == 3


async def test_other_users_of_the_token_are_booked_from_what_the_service_says_is_left() -> None:
    budget = Budget(100)
    async with budget.slot() as slot:
        slot.answered(Usage(status=200, limit=100, remaining=92))
    assert budget.taken == 8
    assert budget.rate_limit == 97


def test_room_kept_for_others_is_used_again_once_they_are_gone() -> None:
    async def gone() -> int:
        budget = Budget(100)
        async with budget.slot() as slot:
            slot.answered(Usage(status=200, limit=100, remaining=92))
        await asyncio.sleep(11 * MINUTE)
        async with budget.slot():
            return budget.rate_limit

    assert virtual.run(gone()) == 100


async def test_what_is_left_by_our_own_requests_invents_nobody() -> None:
    budget = Budget(100)
    async with budget.slot() as first, budget.slot() as second:
        second.answered(Usage(status=200, limit=100, remaining=98))
        first.answered(Usage(status=200, limit=100, remaining=99))
    assert (budget.taken, budget.rate_limit) == (2, 100)


async def test_the_services_limit_is_followed_both_ways_up_to_ours() -> None:
    budget = Budget(100)
    for said, followed in ((40, 40), (80, 80), (1_000, 100)):
        async with budget.slot() as slot:
            slot.answered(Usage(status=200, limit=said, remaining=said - budget.taken))
        assert budget.rate_limit == followed


async def test_after_a_429_nobody_goes_before_the_service_allows() -> None:
    budget = Budget(100)
    async with budget.slot() as slot:
        slot.answered(Usage(status=429, retry_after=timedelta(seconds=30)))
    assert 29 < budget.wait_seconds <= 30


def test_a_429_that_comes_while_somebody_waits_holds_him_back_too() -> None:
    async def refused() -> float:
        budget = Budget(2)
        began = time.monotonic()
        async with budget.slot() as slot, budget.slot():
            waiting = asyncio.create_task(work(budget, Service(), 1))
            await asyncio.sleep(0.5)
            slot.answered(Usage(status=429, retry_after=timedelta(seconds=200)))
        (answered,) = await waiting
        return answered - began

    assert virtual.run(refused()) > 200


async def test_a_burst_goes_at_once_and_then_requests_are_spaced() -> None:
    budget = Budget(100)
    for _ in range(40):
        async with budget.slot():
            assert budget.pause == 0
    async with budget.slot():
        pass
    assert 0.5 < budget.pause < 0.6
