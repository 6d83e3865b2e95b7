from datetime import timedelta

import pytest

from syncd.dispatch.outcome import Outcome, outcome_of
from syncd.dispatch.recovery import judge
from syncd.dispatch.verify import claims_of, differences, shape_of
from syncd.domain.document import IssuedDocument, IssuedLine, PriceMode
from syncd.domain.errors import (
    AccountBlockedError,
    DiscrepancyError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.domain.patience import backoff
from syncd.domain.states import DocumentState
from tests.builders import PAID_AT, a_draft, a_line, a_policy, an_order

SETTLE = timedelta(seconds=60)


def outcome(error: ServiceError, attempt: int = 1) -> Outcome:
    return outcome_of(error, attempt=attempt, jitter=1.0, settle=SETTLE)


@pytest.mark.parametrize(
    ("error", "state", "delay"),
    [
        (RefusedError("no"), DocumentState.HELD, 0),
        (AccountBlockedError("token"), DocumentState.PLANNED, 0),
        (NoEffectError("not reached"), DocumentState.PLANNED, 1),
        (NoEffectError("429", retry_after=timedelta(seconds=17)), DocumentState.PLANNED, 17),
        (StaleReferenceError("gone", kinds=("article",)), DocumentState.PLANNED, 0),
        (UncertainError("time-out"), DocumentState.UNCERTAIN, 60),
        (ServiceError("what was that"), DocumentState.UNCERTAIN, 60),
        (DiscrepancyError("other total"), DocumentState.ISSUED, 0),
    ],
)
def test_an_errors_class_says_what_happens_next(error: ServiceError, state: DocumentState, delay: int) -> None:
    got = outcome(error)
    assert (got.state, got.delay) == (state, timedelta(seconds=delay))


def test_only_what_blocks_the_account_pauses_it() -> None:
    assert outcome(AccountBlockedError("token", code="billpt.208")).pause is not None
    assert outcome(RefusedError("no")).pause is None


def test_an_id_that_stays_unknown_is_held_in_the_end() -> None:
    assert outcome(StaleReferenceError("gone", kinds=("article",)), attempt=4).state is DocumentState.HELD


def test_a_document_that_failed_for_hours_goes_out_within_a_minute_of_the_services_return() -> None:
    assert outcome(NoEffectError("not reached"), attempt=40).delay == timedelta(minutes=1)


def test_waiting_grows_and_ends_at_about_nine_minutes() -> None:
    assert [backoff(attempt).total_seconds() for attempt in (1, 2, 5, 10, 99_999)] == [1, 2, 16, 512, 512]


def an_answer(**changes: object) -> IssuedDocument:
    draft = a_draft()
    lines = tuple(
        IssuedLine(id=str(n), vat_rate=line.vat_rate, net=shown.net, tax=shown.tax, gross=shown.gross)
        for n, (line, shown) in enumerate(zip(draft.lines, draft.expected_lines, strict=True))
    )
    values = {
        "provider_id": "1",
        "number": "FR A/1",
        "issued_on": PAID_AT.date(),
        "totals": draft.expected,
        "lines": lines,
    }
    return IssuedDocument(**{**values, **changes})  # type: ignore[arg-type]


def test_an_answer_like_the_plan_is_right() -> None:
    assert differences(a_draft(), an_answer()) == ()


def test_every_difference_is_named_with_both_figures() -> None:
    other = a_draft(an_order(a_line("12.31")))
    assert differences(other, an_answer()) == (
        "total net 10.00 instead of 10.01",
        "total gross 12.30 instead of 12.31",
        "line 1 net 10.00 instead of 10.01",
        "line 1 gross 12.30 instead of 12.31",
    )
    assert differences(a_draft(), an_answer(lines=())) == ("0 lines instead of 1",)


def test_a_shape_names_what_makes_arithmetic_differ() -> None:
    assert shape_of(a_draft()) == "sale"
    assert shape_of(a_draft(an_order(a_line("25.00"), a_line("9.99", rate="6", id="2")))) == "sale+rates+rounding"


def test_a_document_claims_its_shape_and_no_other_arithmetic_that_would_make_it_come_out_otherwise() -> None:
    assert claims_of(a_draft()) == {"sale"}
    assert claims_of(a_draft(an_order(), a_policy(price_mode=PriceMode.GROSS))) == {"sale+gross"}
    telling = [a_line(gross, id=str(number)) for number, gross in enumerate(("5.00", "7.99", "15.00", "0.99"))]
    assert claims_of(a_draft(an_order(*telling))) == {"sale+rounding", "not rate", "not base"}


def test_one_final_document_is_adopted_and_its_drafts_go() -> None:
    final, draft = an_answer(), an_answer(provider_id="0", final=False)
    verdict = judge([draft, final])
    assert (verdict.adopted, verdict.drafts, verdict.hold) == (final, ("0",), None)


def test_nothing_found_means_certainly_absent() -> None:
    verdict = judge([])
    assert (verdict.adopted, verdict.hold) == (None, None)


def test_several_documents_are_for_a_person() -> None:
    verdict = judge([an_answer(), an_answer(provider_id="2", number="FR A/2")])
    assert verdict.adopted is None
    assert verdict.hold is not None
    assert "FR A/1, FR A/2" in verdict.hold.message


def test_a_document_annulled_by_somebody_is_for_a_person() -> None:
    verdict = judge([an_answer(annulled=True)])
    assert verdict.hold is not None
    assert verdict.hold.code == "annulled_at_service"
