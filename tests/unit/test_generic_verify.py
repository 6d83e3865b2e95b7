import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from syncd.domain.errors import ShopRefusedError, SignatureError
from syncd.shops.generic.verify import key_of, signature, verify

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
OLD, NEW = b"the old key of at least 24 bytes", b"the new key of at least 24 bytes"
BODY = b'{"id": "1"}'


def headers(key: bytes = NEW, *, body: bytes = BODY, at: datetime = NOW, **changes: str) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signed = signature(key, message_id="msg_1", timestamp=timestamp, body=body)
    return {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signed} | {
        f"webhook-{name}": value for name, value in changes.items()
    }


def test_the_signature_is_the_one_of_the_standard() -> None:
    """The vector that the scheme's own libraries are tested with."""
    key = key_of(SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signed = signature(
        key, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp="1614265330", body=b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_secret_of_the_shop_may_sign() -> None:
    for key in (OLD, NEW):
        verify(headers(key), BODY, (OLD, NEW), now=NOW)


def test_one_fitting_signature_of_several_is_enough() -> None:
    right = headers()["webhook-signature"]
    verify(headers(signature=f"v1a,AAAA v1,AAAA {right}"), BODY, (NEW,), now=NOW)


@pytest.mark.parametrize("away", [timedelta(0), timedelta(minutes=5), timedelta(minutes=-5)])
def test_clocks_may_differ_by_five_minutes(away: timedelta) -> None:
    verify(headers(at=NOW + away), BODY, (NEW,), now=NOW)


@pytest.mark.parametrize("away", [timedelta(seconds=301), timedelta(seconds=-301), timedelta(days=9)])
def test_an_old_or_future_request_is_refused(away: timedelta) -> None:
    with pytest.raises(SignatureError, match="clock"):
        verify(headers(at=NOW + away), BODY, (NEW,), now=NOW)


@pytest.mark.parametrize(
    ("given", "body", "keys"),
    [
        (headers(), BODY + b" ", (NEW,)),
        (headers(OLD), BODY, (NEW,)),
        (headers(), BODY, ()),
        (headers(id="msg_2"), BODY, (NEW,)),
        (headers(timestamp=str(int(NOW.timestamp()) + 1)), BODY, (NEW,)),
        (headers(signature=headers()["webhook-signature"].removeprefix("v1,")), BODY, (NEW,)),
        (headers(signature=headers()["webhook-signature"].replace("v1,", "v2,")), BODY, (NEW,)),
        (headers(signature="v1,"), BODY, (NEW,)),
        (headers(signature="v1,\udcff"), BODY, (NEW,)),
        (headers(timestamp="soon"), BODY, (NEW,)),
        (headers(timestamp="١٦١٤٢٦٥٣٣٠"), BODY, (NEW,)),
        (headers(timestamp="9" * 400), BODY, (NEW,)),
        (headers(timestamp="-1"), BODY, (NEW,)),
        *((headers() | {name: ""}, BODY, (NEW,)) for name in headers()),
        ({}, BODY, (NEW,)),
    ],
)
def test_anything_else_is_refused(given: Mapping[str, str], body: bytes, keys: tuple[bytes, ...]) -> None:
    with pytest.raises(SignatureError):
        verify(given, body, keys, now=NOW)


@given(st.fixed_dictionaries({}, optional={name: st.text() for name in headers()}), st.binary())
def test_no_header_makes_it_fail_otherwise(given: dict[str, Any], body: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(given, body, (NEW,), now=NOW)


def test_a_secret_is_base64_after_its_prefix_or_the_key_itself() -> None:
    assert key_of(SecretStr("whsec_" + base64.b64encode(NEW).decode())) == NEW
    assert key_of(SecretStr("any text é")) == "any text é".encode()


@pytest.mark.parametrize("text", ["whsec_=", "whsec_not base64", "whsec_YQ", "whsec_é"])
def test_a_broken_secret_is_named_without_being_shown(text: str) -> None:
    with pytest.raises(ShopRefusedError) as refused:
        key_of(SecretStr(text))
    assert text not in str(refused.value)
    assert refused.value.fix
