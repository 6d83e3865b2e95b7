"""What Bill.pt refuses, and what is refused before anything is sent."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import SecretStr

from syncd.dispatch.verify import differences
from syncd.domain.errors import (
    AccountBlockedError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.mapping.policy import PaidDocument
from syncd.providers.port import Purpose
from syncd.sandbox.billpt.faults import Fault, FaultKind
from syncd.sandbox.billpt.settings import Settings
from tests.builders import an_order
from tests.contract.billpt.bench import KNOWN_BUYER, MARKER, OTHER, Bench, after, bench, sale
from tests.provider_parts import everything_said


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("206", RefusedError),
        ("254", AccountBlockedError),
        ("309", AccountBlockedError),
        ("102.data.2027-01-01", NoEffectError),
        ("225", StaleReferenceError),
        ("276", UncertainError),
        ("Undefined index: pais", RefusedError),
    ],
)
async def test_a_refusal_becomes_the_error_that_its_code_means(
    at_billpt: Bench, code: str, kind: type[ServiceError]
) -> None:
    at_billpt.fail(FaultKind.REFUSE, code=code, times=None)
    with pytest.raises(ServiceError) as caught:
        await at_billpt.issue(sale())
    assert type(caught.value) is kind
    assert caught.value.answer.codes == (code,)
    said = everything_said(caught.value)
    assert at_billpt.emulator.token not in said
    assert "Rita" not in said
    assert at_billpt.emulator.marked(MARKER) == []


async def test_over_the_limit_nothing_is_issued(at_billpt: Bench) -> None:
    draft = sale()
    await at_billpt.service.check()
    at_billpt.fail(FaultKind.TOO_MANY)
    with pytest.raises(NoEffectError) as caught:
        await at_billpt.issue(draft)
    assert caught.value.retry_after is not None
    assert (await at_billpt.issue(draft)).final


async def test_a_wrong_token_blocks_the_account_and_is_never_shown() -> None:
    token = "w" * 128
    async with bench(token=SecretStr(token)) as at_billpt:
        with pytest.raises(AccountBlockedError) as caught:
            await at_billpt.issue(sale())
        assert token not in everything_said(caught.value)
        assert token not in repr(vars(at_billpt.service))
        (finding,) = await at_billpt.service.check()
        assert (finding.subject, finding.ok) == ("token", False)
        assert token not in finding.message + finding.fix


async def test_a_rate_that_the_account_lacks_is_refused_before_anything_is_sent() -> None:
    async with bench(Settings(old_taxes=True)) as at_billpt:
        draft = sale()
        lines = tuple(replace(line, vat_rate=Decimal(16)) for line in draft.lines)
        with pytest.raises(RefusedError) as caught:
            await at_billpt.issue(replace(draft, lines=lines, region="PT-AC"))
        assert caught.value.code == "billpt.rate_missing"
        assert at_billpt.gateway.of(Purpose.ISSUE) == []


@pytest.mark.parametrize("series", [{"*": "NOPE"}, {"FR": "NOPE"}])
async def test_a_series_that_is_not_there_blocks_the_account(series: dict[str, str]) -> None:
    async with bench(series=series) as at_billpt:
        with pytest.raises(AccountBlockedError) as caught:
            await at_billpt.issue(sale())
        assert caught.value.code == "billpt.series_missing"
        assert at_billpt.gateway.of(Purpose.ISSUE) == []


async def test_a_look_up_that_fails_before_the_request_has_no_effect(at_billpt: Bench) -> None:
    at_billpt.emulator.faults.add(Fault(kind=FaultKind.ERROR_BEFORE, path="/api/1.0/motivos-isencao"))
    with pytest.raises(NoEffectError):
        await at_billpt.issue(sale())
    assert at_billpt.gateway.of(Purpose.ISSUE) == []


async def test_articles_and_customers_that_exist_already_are_taken_by_id() -> None:
    async with bench(Settings(existing_code_refused=True)) as at_billpt:
        draft = sale()
        first = await at_billpt.issue(draft)
        again = await at_billpt.issue(draft, marker=OTHER)  # nothing was learned, as after a lost database
        assert [line.article_id for line in again.lines] == [line.article_id for line in first.lines]
        assert differences(draft, again) == ()
        assert len(at_billpt.gateway.of(Purpose.ISSUE)) == 3


async def test_receipts_have_no_drafts(at_billpt: Bench) -> None:
    order = an_order(buyer=KNOWN_BUYER)
    invoice = sale(order, paid_document=PaidDocument.FT_RC)
    receipt = after(invoice, order, paid_document=PaidDocument.FT_RC)
    with pytest.raises(RefusedError) as caught:
        await at_billpt.issue(receipt, as_draft=True)
    assert caught.value.code == "billpt.no_draft"
