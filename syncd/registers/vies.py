"""VIES, the Commission's register of VAT numbers: its REST service, asked with the seller's own number.

Only then does it give a consultation number, which proves to a tax office what was answered and when. A no is an answer
as well; everything else (a member state that is down, too many questions, a blocked address) is none.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from syncd.domain.registers import Consultation
from syncd.registers.http import Answer, Line, RegisterError

# The number cannot be one: as good as a no.
NOT_A_NUMBER = "INVALID_INPUT"
# The trouble of one member state's register; all others are of VIES as a whole, or ours.
OF_MEMBER_STATE = frozenset({"MS_UNAVAILABLE", "MS_MAX_CONCURRENT_REQ", "MS_MAX_CONCURRENT_REQ_TIME", "TIMEOUT"})
OURS = {
    "INVALID_REQUESTER_INFO": "VIES does not accept the seller's own number: correct fiscal.nif in the account's settings",
    "VAT_BLOCKED": "VIES has blocked the seller's own number",
    "IP_BLOCKED": "VIES has blocked this machine's address",
}
ANSWERS = frozenset({"", "VALID", "INVALID"})
UNDISCLOSED = "---"


class Vies:
    """The register. Raises RegisterError where it gave no answer."""

    def __init__(
        self, url: str, *, timeout_seconds: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._line = Line(url, timeout_seconds=timeout_seconds)
        self._now = now

    async def consult(self, number: str, requester: str) -> tuple[Consultation, bytes]:
        """Whether a VAT number is valid now; both numbers with their prefix. The answer, and it raw."""
        question = {
            "countryCode": number[:2],
            "vatNumber": number[2:],
            "requesterMemberStateCode": requester[:2],
            "requesterNumber": requester[2:],
        }
        answer = await self._line.post("check-vat-number", question)
        return consultation_of(answer, number, requester, asked_at=self._now()), answer.body

    async def close(self) -> None:
        await self._line.close()


def consultation_of(answer: Answer, number: str, requester: str, *, asked_at: datetime) -> Consultation:
    """What an answer says of this number. Raises RegisterError where it says nothing of it."""
    told = _object(answer)
    if problem := _problem(told):
        if problem == NOT_A_NUMBER:
            return Consultation(number=number, requester=requester, valid=False, asked_at=asked_at)
        raise RegisterError(
            OURS.get(problem, f"VIES answered {problem}"), shared=number[:2] if problem in OF_MEMBER_STATE else ""
        )
    if answer.status != 200:
        raise RegisterError(f"VIES answered with status {answer.status}")
    valid = told.get("valid")
    if not isinstance(valid, bool) or f"{told.get('countryCode')}{told.get('vatNumber')}" != number:
        raise RegisterError("VIES answered something else than what it was asked", shared=None)
    return Consultation(
        number=number,
        requester=requester,
        valid=valid,
        asked_at=asked_at,
        reference=_text(told, "requestIdentifier"),
        name=_text(told, "name"),
        address=_text(told, "address"),
    )


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        told = orjson.loads(answer.body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise RegisterError(f"VIES answered with status {answer.status} and no JSON object")
    return told


def _problem(told: Mapping[str, Any]) -> str:
    """The error's code, "" where there is none. It stands in a list, or beside an answer that is none."""
    wrappers = told.get("errorWrappers")
    if isinstance(wrappers, list) and wrappers and isinstance(wrappers[0], dict):
        return str(wrappers[0].get("error") or "an error without a code")
    error = str(told.get("userError") or "")
    return "" if error in ANSWERS else error


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return value.strip() if isinstance(value, str) and value.strip() != UNDISCLOSED else ""
