"""VIES' answers, byte for byte as its service writes them: a yes, a no, or no answer."""

import orjson
import pytest

from syncd.registers.http import Answer, RegisterError
from syncd.registers.vies import consultation_of
from tests.builders import PAID_AT

YES = {
    "countryCode": "DE",
    "vatNumber": "136695976",
    "requestDate": "2026-11-20T10:30:00.000Z",
    "valid": True,
    "requestIdentifier": "WAPIAAAAW1x2y3z4",
    "name": "Beispiel GmbH",
    "address": "Allee 8\n20095 Hamburg",
    "traderNameMatch": "NOT_PROCESSED",
}


def read(told: object, status: int = 200) -> tuple[bool, str, str]:
    body = told if isinstance(told, bytes) else orjson.dumps(told)
    found = consultation_of(Answer(status, body), "DE136695976", "PT501964843", asked_at=PAID_AT)
    assert (found.number, found.requester, found.asked_at) == ("DE136695976", "PT501964843", PAID_AT)
    return found.valid, found.reference, found.name


def test_a_yes_carries_its_proof() -> None:
    assert read(YES) == (True, "WAPIAAAAW1x2y3z4", "Beispiel GmbH")


def test_what_a_member_state_does_not_disclose_is_empty() -> None:
    assert read({**YES, "name": "---", "address": "---"}) == (True, "WAPIAAAAW1x2y3z4", "")


@pytest.mark.parametrize(
    "told",
    [
        {**YES, "valid": False, "requestIdentifier": "", "name": "---"},
        {**YES, "valid": False, "requestIdentifier": "", "name": "", "userError": "INVALID"},
        {"actionSucceed": False, "errorWrappers": [{"error": "INVALID_INPUT"}]},
    ],
)
def test_a_no_is_an_answer(told: object) -> None:
    assert read(told) == (False, "", "")


@pytest.mark.parametrize(
    ("told", "status", "shared"),
    [
        ({"actionSucceed": False, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}, 200, "DE"),
        ({"actionSucceed": False, "errorWrappers": [{"error": "TIMEOUT"}]}, 200, "DE"),
        ({"actionSucceed": False, "errorWrappers": [{"error": "GLOBAL_MAX_CONCURRENT_REQ"}]}, 200, ""),
        ({"actionSucceed": False, "errorWrappers": [{"error": "INVALID_REQUESTER_INFO"}]}, 400, ""),
        ({"actionSucceed": False, "errorWrappers": [{"error": "A_NEW_ONE"}]}, 500, ""),
        ({"actionSucceed": False, "errorWrappers": [{}]}, 200, ""),
        ({**YES, "valid": False, "userError": "MS_MAX_CONCURRENT_REQ"}, 200, "DE"),
        (YES, 503, ""),
        (b"<html>maintenance</html>", 200, ""),
        (b"", 200, ""),
        ([YES], 200, ""),
        ({**YES, "valid": "true"}, 200, None),
        ({**YES, "valid": None}, 200, None),
        ({**YES, "vatNumber": "100"}, 200, None),
    ],
)
def test_everything_else_is_no_answer(told: object, status: int, shared: str | None) -> None:
    with pytest.raises(RegisterError) as none:
        read(told, status)
    assert none.value.shared == shared
