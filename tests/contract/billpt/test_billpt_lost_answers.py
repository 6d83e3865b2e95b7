"""A document whose answer got lost is found, and a search that cannot tell says so."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncd.dispatch.verify import differences
from syncd.domain.errors import NoEffectError, UncertainError
from syncd.providers.port import Purpose, Search
from syncd.sandbox.billpt.faults import FaultKind
from tests.builders import a_line, an_order
from tests.contract.billpt.bench import ISSUED, LISTS, MARKER, ORDERS, OTHER, TODAY, Bench, against, bench, sale

LOST = [FaultKind.LOSE_ANSWER, FaultKind.TRUNCATE, FaultKind.HTML, FaultKind.ERROR_AFTER]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("order", ["one article", "final consumer"])
async def test_a_lost_answer_is_uncertain_and_its_document_is_found(
    at_billpt: Bench, fault: FaultKind, order: str
) -> None:
    draft = sale(ORDERS[order])
    at_billpt.fail(fault)
    with pytest.raises(UncertainError):
        await at_billpt.issue(draft)
    before = len(at_billpt.gateway.booked)
    (found,) = await at_billpt.find(draft)
    assert differences(draft, found) == ()
    assert found.marker == MARKER
    assert len(at_billpt.gateway.booked) - before <= 3


async def test_a_late_answer_is_uncertain_and_its_document_is_found() -> None:
    async with bench(timeout_seconds=0.8) as at_billpt:
        at_billpt.fail(FaultKind.SLOW_AFTER, seconds=3)
        draft = sale()
        await at_billpt.service.check()  # so that only the issue itself is slow
        with pytest.raises(UncertainError):
            await at_billpt.issue(draft)
        assert len(await at_billpt.find(draft)) == 1


async def test_a_lost_draft_is_found_as_a_draft(at_billpt: Bench) -> None:
    draft = sale()
    at_billpt.fail(FaultKind.LOSE_ANSWER)
    with pytest.raises(UncertainError):
        await at_billpt.issue(draft, as_draft=True)
    (found,) = await at_billpt.find(draft)
    assert not found.final


async def test_what_was_never_issued_is_not_found(at_billpt: Bench) -> None:
    draft = sale()
    at_billpt.fail(FaultKind.ERROR_BEFORE)
    with pytest.raises(UncertainError):
        await at_billpt.issue(draft)
    assert await at_billpt.find(draft) == ()


async def test_a_search_knows_every_marker_and_all_documents_that_carry_one(at_billpt: Bench) -> None:
    draft = sale()
    first = await at_billpt.issue(draft, marker=MARKER)
    second = await at_billpt.issue(draft, marker=OTHER)
    await at_billpt.issue(draft, marker="syncd:someone-else")
    found = await at_billpt.find(draft, MARKER, OTHER, customer_id=first.customer_id)
    assert {document.number for document in found} == {first.number, second.number}


async def test_a_search_goes_back_over_pages_and_stops_at_what_is_older(at_billpt: Bench) -> None:
    draft = sale(an_order())
    floor = await at_billpt.issue(draft, marker="syncd:floor")
    wanted = await at_billpt.issue(draft, marker=MARKER)
    for number in range(25):
        await at_billpt.issue(sale(an_order(a_line("9.90"), id=str(number))), marker=f"syncd:{number}")
    found = await at_billpt.find(draft, newer_than=floor.provider_id)
    assert [document.number for document in found] == [wanted.number]
    assert at_billpt.gateway.of(Purpose.VERIFY) == [
        "GET documentos",
        "GET documentos",
        f"GET documentos/{wanted.provider_id}",
    ]


async def test_a_document_that_came_out_a_cent_off_is_found_all_the_same(at_billpt: Bench) -> None:
    draft = sale(an_order(a_line("12.30")))
    for number in range(4):
        await at_billpt.issue(sale(an_order(a_line("40.00"), id=str(number))), marker=f"syncd:{number}")
    await at_billpt.issue(sale(an_order(a_line("12.31"))), marker=MARKER)
    (found,) = await at_billpt.find(draft)
    assert found.totals.gross == Decimal("12.31")


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_service_that_ignores_filters_and_order_is_searched_to_the_end(newest_first: bool) -> None:
    numbers = range(60, 0, -1) if newest_first else range(1, 61)
    every = [{"id": n, "contato_id": 7, "invoice_date": str(TODAY), "gross_total": "12.30"} for n in numbers]
    at = 0 if newest_first else -1
    every[at]["id"], every[at]["contato_id"] = 999, 58
    document = ISSUED | {"id": 999, "nota_documento": MARKER}

    def page(seen: Any) -> tuple[int, object]:
        start = (int(seen.query["page"]) - 1) * 20
        return 200, {"data": every[start : start + 20], "last_page": 3}

    replies = LISTS | {"GET /api/1.0/documentos": [page], "GET /api/1.0/documentos/999": [(200, document)]}
    async with against(replies) as (service, _, _):
        found = await service.find(
            Search(
                draft=sale(),
                markers=frozenset({MARKER}),
                customer_id="58",
                since=TODAY - timedelta(days=1),
                newer_than="50",
            )
        )
    assert [document.provider_id for document in found] == ["999"]


@pytest.mark.parametrize(
    "listing",
    [
        (500, {"error": ["Undefined index"]}),
        (401, {"error": ["208"]}),
        (400, {"error": ["9.pesquisa"]}),
        (200, {"error": ["255"]}),
        (200, []),
        (200, {"data": []}),
        (200, {"data": [{"gross_total": "12.30"}], "last_page": 1}),
        (200, {"data": [{"id": 1, "gross_total": "muito"}], "last_page": 1}),
        (200, {"data": [{"id": 1, "gross_total": "12.30"}], "last_page": 1}),  # and the document cannot be read
        (200, {"data": [{"id": 1, "gross_total": "1.00"}], "last_page": 999_999}),
    ],
)
async def test_a_search_that_meets_any_trouble_says_that_it_cannot_tell(listing: tuple[int, object]) -> None:
    replies = LISTS | {"GET /api/1.0/documentos": [listing], "GET /api/1.0/documentos/1": [(404, {"message": ""})]}
    async with against(replies) as (service, _, _):
        with pytest.raises(NoEffectError):
            await service.find(
                Search(draft=sale(), markers=frozenset({MARKER}), customer_id="", since=TODAY - timedelta(days=1))
            )
