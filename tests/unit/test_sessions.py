"""Cookies, tokens and patience, without a browser."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from syncd.web.sessions import FREE_TRIES, LONGEST_WAIT, Keeper, Patience, Session

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEEPER = Keeper(SecretStr("a long enough password"))
OPERATOR = Session.begin(known=True, now=NOW, length=HOUR)


def test_a_cookie_is_read_as_it_was_written_by_any_process_with_the_same_password() -> None:
    other = Keeper(SecretStr("a long enough password"))
    assert other.session(KEEPER.cookie(OPERATOR), NOW) == OPERATOR
    assert other.has_token(OPERATOR, KEEPER.token(OPERATOR))


def test_a_cookie_ends_with_its_time_and_with_another_password() -> None:
    cookie = KEEPER.cookie(OPERATOR)
    assert KEEPER.session(cookie, NOW + HOUR - timedelta(seconds=1)) == OPERATOR
    assert KEEPER.session(cookie, NOW + HOUR) is None
    assert Keeper(SecretStr("another long password")).session(cookie, NOW) is None


@pytest.mark.parametrize("change", ["visitor->operator", "later", "nonce", "unsigned", "empty", "junk", "not ascii"])
def test_a_cookie_that_was_touched_is_none(change: str) -> None:
    visitor = KEEPER.cookie(Session.begin(known=False, now=NOW, length=HOUR))
    who, until, nonce, signature = visitor.split(".")
    touched = {
        "visitor->operator": f"operator.{until}.{nonce}.{signature}",
        "later": f"{who}.{int(until) + 9999}.{nonce}.{signature}",
        "nonce": f"{who}.{until}.{nonce}x.{signature}",
        "unsigned": f"operator.{until}.{nonce}.",
        "empty": "",
        "junk": "....",
        "not ascii": f"{who}.{until}.{nonce}.ção\udcff",
    }
    assert KEEPER.session(touched[change], NOW) is None


def test_a_token_is_good_for_its_own_session_only() -> None:
    other = Session.begin(known=True, now=NOW, length=HOUR)
    assert not KEEPER.has_token(other, KEEPER.token(OPERATOR))
    assert not KEEPER.has_token(OPERATOR, "")
    assert not KEEPER.has_token(OPERATOR, "ç\ud800")


@pytest.mark.parametrize(
    ("given", "right"),
    [("a long enough password", True), ("a long enough passworD", False), ("", False), ("ç\ud800", False)],
)
def test_only_the_password_is_right(given: str, right: bool) -> None:
    assert KEEPER.right(given) is right


def test_some_wrong_tries_are_free_and_then_each_doubles_the_wait_up_to_a_minute() -> None:
    patience, now, waits = Patience(), NOW, []
    for _ in range(FREE_TRIES + 7):
        patience.failed("1.2.3.4", now)
        waits.append(patience.wait("1.2.3.4", now).total_seconds())
        now += patience.wait("1.2.3.4", now)
        assert not patience.wait("1.2.3.4", now)
    assert waits == [0] * (FREE_TRIES - 1) + [2, 4, 8, 16, 32, 60, 60, 60]


def test_patience_is_kept_per_address_and_comes_back() -> None:
    patience = Patience()
    for _ in range(FREE_TRIES + 9):
        patience.failed("1.2.3.4", NOW)
    assert patience.wait("1.2.3.4", NOW) == LONGEST_WAIT
    assert not patience.wait("5.6.7.8", NOW)
    patience.failed("1.2.3.4", NOW + HOUR)
    assert not patience.wait("1.2.3.4", NOW + HOUR)
    for _ in range(FREE_TRIES):
        patience.failed("1.2.3.4", NOW + HOUR)
    patience.succeeded("1.2.3.4")
    assert not patience.wait("1.2.3.4", NOW + HOUR)


def test_many_addresses_cost_no_more_than_a_thousand() -> None:
    patience = Patience()
    for number in range(1_500):
        patience.failed(str(number), NOW)
    assert len(patience._tries) == 1_000
