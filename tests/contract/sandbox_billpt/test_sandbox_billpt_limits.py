"""The limiter: what it lets through, what it says, and the count that clients are judged by."""

from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.sandbox.billpt import RateMode, Settings
from syncd.sandbox.billpt.limits import Limiter
from tests.contract.sandbox_billpt.conftest import OpenDesk
from tests.contract.sandbox_billpt.desk import HandClock

THREE = replace(Settings(), rate_limit=3)


@pytest.mark.parametrize(
    ("mode", "arrivals"),
    [
        # (seconds since the start, let through?)
        (RateMode.SLIDING, [(0, True), (50, True), (50, True), (59, False), (60, True), (61, False), (110, True)]),
        (RateMode.FIXED, [(0, True), (50, True), (50, True), (59, False), (60, True), (61, True), (62, True), (63, False)]),
        (RateMode.BUCKET, [(0, True), (0, True), (0, True), (19, False), (20, True), (39, False), (40, True)]),
    ],
)  # fmt: skip
def test_each_mode_counts_its_own_way(mode: RateMode, arrivals: list[tuple[int, bool]]) -> None:
    time = HandClock(seconds=0)
    limiter = Limiter(time.clock(), limit=3, window=60, mode=mode)
    for at, allowed in arrivals:
        time.seconds = at
        assert limiter.arrive().allowed is allowed, at


def test_the_worst_window_counts_refused_requests_too() -> None:
    time = HandClock(seconds=0)
    limiter = Limiter(time.clock(), limit=2, window=60, mode=RateMode.SLIDING)
    for at in (0, 1, 59.9, 60, 119.8, 119.9):
        time.seconds = at
        limiter.arrive()
    assert limiter.worst_window() == 3  # 60 s after a request it no longer counts
    assert limiter.refused == 2


async def test_every_answer_says_what_is_left_and_429_when_to_return(open_desk: OpenDesk) -> None:
    desk = await open_desk(THREE)
    left = []
    for path in ("impostos", "documentos/1", "nothing-here"):
        answer = await desk.get(path)
        assert answer.headers["X-RateLimit-Limit"] == "3"
        left.append(answer.headers["X-RateLimit-Remaining"])
    assert left == ["2", "1", "0"]

    desk.time.turn(timedelta(seconds=12.5))
    refused = await desk.issue()
    assert (refused.status, refused.codes) == (429, ["Too Many Attempts."])
    assert (refused.headers["Retry-After"], refused.headers["X-RateLimit-Remaining"]) == ("48", "0")
    assert desk.sandbox.account.books.all == {}
    desk.time.turn(timedelta(seconds=47.5))
    assert (await desk.issue()).status == 200
    assert len(desk.sandbox.limiter.arrivals) == 5


async def test_accounts_do_not_share_a_budget_and_downloads_use_none(open_desk: OpenDesk) -> None:
    desk = await open_desk(THREE)
    other = desk.sandbox.open_account("other")
    made = await desk.issued()
    for _ in range(3):
        assert (await desk.call("GET", "impostos", token=other.token)).status == 200
    url = f"{desk.serving.url}/documentos/download/{made['id']}/{made['token_download']}"
    async with desk.http.get(url) as response:
        assert "X-RateLimit-Limit" not in response.headers
    assert (await desk.get("impostos")).headers["X-RateLimit-Remaining"] == "1"


async def test_the_limit_can_be_changed_over_http(open_desk: OpenDesk) -> None:
    desk = await open_desk(THREE)
    control = f"{desk.serving.url}/_sandbox/limit"
    assert (await desk.call("POST", control, {"limit": None})).made == {"limit": None, "mode": "sliding"}
    for _ in range(5):
        assert (await desk.get("impostos")).status == 200
    await desk.call("POST", control, {"limit": 1, "mode": "fixed"})
    assert [(await desk.get("impostos")).status for _ in range(2)] == [200, 429]
    assert (await desk.call("POST", control, {"limit": "many"})).status == 400
