"""The adapter against the emulator of Bill.pt, and against answers that the emulator does not give."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from syncd.dispatch.verify import differences
from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import DocumentDraft, DocumentKind, IssuedDocument, PriceMode
from syncd.domain.errors import (
    AccountBlockedError,
    MisjudgedAccountError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.domain.order import Address, Buyer, Order
from syncd.domain.states import DocumentState
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.mapping.policy import PaidDocument, ZeroTotal
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import AccountConfig, Issue, Purpose, Search, load_service
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.billpt.faults import Fault, FaultKind
from syncd.sandbox.billpt.settings import Arithmetic as SandboxArithmetic
from syncd.sandbox.billpt.settings import Settings
from syncd.sandbox.server import serve
from tests.builders import LISBON_BUYER, a_line, a_policy, a_refund, an_order, shipping
from tests.provider_parts import MemoryDirectory, OpenGateway, everything_said, scripted

MARKER, OTHER = "syncd:7kq2m9xw4hzt", "syncd:zzzz22223333"
TODAY = date.today()  # noqa: DTZ011 - only to look some days back
KNOWN_BUYER = Buyer(
    name="Rita Lopes",
    email="rita@loja.example",
    tax_id="212345672",
    billing=Address(name="Rita Lopes", street="Rua Nova 5", postcode="4000-100", city="Porto", country="PT"),
)
POLICY = a_policy(capabilities=BillPt.capabilities)


@dataclass
class Bench:
    """An adapter at an emulator, with its journal and its directory."""

    service: BillPt
    emulator: Emulator
    gateway: OpenGateway
    directory: MemoryDirectory

    def fail(self, kind: FaultKind, **options: Any) -> None:
        self.emulator.faults.add(Fault(kind=kind, path="/api/1.0/documentos", method="POST", **options))

    async def issue(self, draft: DocumentDraft, marker: str = MARKER, **options: Any) -> IssuedDocument:
        return await self.service.issue(Issue(draft=draft, marker=marker, **options))

    async def find(self, draft: DocumentDraft, *markers: str, **options: Any) -> tuple[IssuedDocument, ...]:
        values: dict[str, Any] = {"customer_id": "", "since": TODAY - timedelta(days=2)} | options
        return await self.service.find(Search(draft=draft, markers=frozenset(markers or {MARKER}), **values))

    def learn(self, draft: DocumentDraft, issued: IssuedDocument) -> None:
        self.directory.kinds.setdefault("customer", {})[draft.customer.code] = issued.customer_id
        self.directory.kinds.setdefault("customer_name", {})[draft.customer.code] = issued.customer_name
        pairs = zip(draft.lines, issued.lines, strict=True)
        self.directory.kinds.setdefault("article", {}).update({d.code: i.article_id for d, i in pairs})


@asynccontextmanager
async def bench(settings: Settings | None = None, **config: Any) -> AsyncIterator[Bench]:
    emulator = Emulator(settings)
    async with await serve(emulator) as serving:
        given: dict[str, Any] = {"base_url": serving.url, "token": SecretStr(emulator.token), "timeout_seconds": 5.0}
        given |= config
        gateway, directory = OpenGateway(), MemoryDirectory()
        service = BillPt(AccountConfig(name="main", **given), gateway, directory)
        try:
            yield Bench(service, emulator, gateway, directory)
        finally:
            await service.close()


@pytest.fixture
async def at_billpt() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


def sale(order: Order | None = None, **policy: Any) -> DocumentDraft:
    accepted = frozenset({"vies_unconfirmed"})
    made = plan(order or an_order(buyer=KNOWN_BUYER), (), replace(POLICY, **policy), accepted)
    assert made.documents, made
    return made.documents[0]


def after(draft: DocumentDraft, order: Order, **policy: Any) -> DocumentDraft:
    """What an order's newer state asks for once this document is issued."""
    known = KnownDocument(key=draft.key, state=DocumentState.ISSUED, draft=draft)
    made = plan(order, [known], replace(POLICY, **policy))
    assert made.documents, made
    return made.documents[0]


def test_the_adapter_is_found_by_its_services_name() -> None:
    assert load_service("billpt") is BillPt


ORDERS: Mapping[str, Order] = {
    "one article": an_order(buyer=KNOWN_BUYER),
    "final consumer": an_order(),
    "named buyer without a number": an_order(buyer=replace(LISBON_BUYER, billing=KNOWN_BUYER.billing)),
    "several rates and shipping": an_order(
        a_line("12.30"), a_line("5.30", rate="6", sku="LIV-1", id="2"), shipping("4.90"), buyer=KNOWN_BUYER
    ),
    "a discount": an_order(a_line("9.99", list_gross="14.99", quantity="3"), buyer=KNOWN_BUYER),
    "prices of fractions of a cent": an_order(
        a_line("1.53", quantity="33", unit_price=Decimal("0.0375")), buyer=KNOWN_BUYER, prices_include_tax=False
    ),
    "a gross that needs rounding": an_order(a_line("5.00"), buyer=KNOWN_BUYER),
    "the same article twice": an_order(a_line("12.30"), a_line("6.15", id="2"), buyer=KNOWN_BUYER),
    "company abroad": an_order(
        a_line("100.00", rate="0"),
        buyer=Buyer(
            name="Example GmbH",
            tax_id="DE136695976",
            billing=Address(company="Example GmbH", street="Weg 1", postcode="10115", city="Berlin", country="DE"),
            shipping=Address(name="Example GmbH", street="Weg 1", postcode="10115", city="Berlin", country="DE"),
        ),
    ),
    "export": an_order(
        a_line("100.00", rate="0"),
        buyer=Buyer(
            name="Ann Hill",
            billing=Address(name="Ann Hill", street="1 Road", postcode="10001", city="New York", country="US"),
            shipping=Address(name="Ann Hill", street="1 Road", postcode="10001", city="New York", country="US"),
        ),
    ),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_a_sale_is_issued_as_planned_in_one_request(at_billpt: Bench, order: Order) -> None:
    draft = sale(order)
    issued = await at_billpt.issue(draft)
    assert differences(draft, issued) == ()
    assert issued.final
    assert issued.number.startswith(draft.kind.value)
    assert issued.marker == MARKER
    assert issued.download_token
    assert all(line.vat_rate is not None and line.id and line.article_id for line in issued.lines)
    assert [line.exemption for line in issued.lines] == [line.exemption for line in draft.lines]
    assert at_billpt.gateway.of(Purpose.ISSUE) == ["POST documentos"]


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_in_a_series_with_vat_a_sale_and_its_credit_note_are_issued_with_prices_that_hold_it(
    order: Order,
) -> None:
    async with bench(Settings(default_series="IVA2026")) as there:
        draft = sale(order, price_mode=PriceMode.GROSS)
        issued = await there.issue(draft)
        assert differences(draft, issued) == ()
        (stored,) = there.emulator.marked(MARKER)
        assert stored.series["iva_incluido"] == 1
        assert [line.priced.price for line in stored.lines] == [line.unit_price for line in draft.lines]
        back = after(draft, replace(order, refunds=(a_refund(str(order.total)),)), price_mode=PriceMode.GROSS)
        noted = await there.issue(back, marker=OTHER, originals={draft.key: issued})
        assert differences(back, noted) == ()
        assert noted.totals.gross == issued.totals.gross


DISCOUNTED = an_order(
    a_line("8.99", list_gross="9.99"),
    a_line("25.65", list_gross="30.00", quantity="3", rate="6", id="2", discounts=(Decimal(10), Decimal(5))),
    a_line("854.91", list_gross="1000.00", id="3", discounts=(Decimal(5), Decimal(5), Decimal("5.2731"))),
    a_line("0.00", list_gross="4.50", id="4"),
    shipping("2.45", list_gross="4.90"),
    buyer=KNOWN_BUYER,
)


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
@pytest.mark.parametrize(("series", "mode"), [("B2026", PriceMode.NET), ("IVA2026", PriceMode.GROSS)])
async def test_list_prices_and_successive_percentages_come_to_the_plans_figures_in_sale_and_credit_notes(
    arithmetic: Arithmetic, series: str, mode: PriceMode
) -> None:
    policy: dict[str, Any] = {"show_discounts": True, "price_mode": mode, "arithmetic": arithmetic}
    async with bench(Settings(default_series=series, arithmetic=SandboxArithmetic(arithmetic))) as there:
        draft = sale(DISCOUNTED, **policy)
        assert [len(line.discounts) for line in draft.lines] == [1, 2, 3, 1, 1]
        issued = await there.issue(draft)
        assert differences(draft, issued) == ()
        (stored,) = there.emulator.marked(MARKER)
        assert [tuple(filter(None, line.priced.discounts)) for line in stored.lines] == [
            line.discounts for line in draft.lines
        ]
        piece = after(draft, replace(DISCOUNTED, refunds=(a_refund("8.55", ("2", "1", "8.55")),)), **policy)
        noted = await there.issue(piece, marker=OTHER, originals={draft.key: issued})
        assert differences(piece, noted) == ()
        refunds = (*DISCOUNTED.refunds, a_refund("8.55", ("2", "1", "8.55")), a_refund("883.45", id="56"))
        known = [KnownDocument(key=each.key, state=DocumentState.ISSUED, draft=each) for each in (draft, piece)]
        (rest,) = plan(replace(DISCOUNTED, refunds=refunds), known, replace(POLICY, **policy)).documents
        noted = await there.issue(rest, marker="syncd:rest", originals={draft.key: issued})
        assert differences(rest, noted) == ()


@pytest.mark.parametrize(
    ("series", "planned", "told"),
    [("IVA2026", PriceMode.NET, PriceMode.GROSS), ("B2026", PriceMode.GROSS, PriceMode.NET)],
)
async def test_a_series_that_takes_prices_otherwise_says_so_before_anything_is_sent(
    series: str, planned: PriceMode, told: PriceMode
) -> None:
    async with bench(series={"*": series}) as there:
        with pytest.raises(MisjudgedAccountError) as caught:
            await there.issue(sale(price_mode=planned))
        assert caught.value.seen == Profile(price_modes={"FR": told})
        assert there.gateway.of(Purpose.ISSUE) == []


async def test_lists_are_read_once_for_all_documents(at_billpt: Bench) -> None:
    for number in range(3):
        await at_billpt.issue(sale(an_order(id=str(number), buyer=KNOWN_BUYER)), marker=f"syncd:{number}")
    looked_up = at_billpt.gateway.of(Purpose.LOOKUP)
    assert len(looked_up) == len(set(looked_up)) <= 5
    assert len(at_billpt.gateway.of(Purpose.ISSUE)) == 3


async def test_what_is_learned_of_one_document_serves_the_next(at_billpt: Bench) -> None:
    draft = sale()
    first = await at_billpt.issue(draft)
    at_billpt.learn(draft, first)
    second = await at_billpt.issue(draft, marker=OTHER)
    assert second.customer_id == first.customer_id
    assert [line.article_id for line in second.lines] == [line.article_id for line in first.lines]
    assert differences(draft, second) == ()


async def test_a_returning_customer_stands_on_each_document_as_in_its_own_order(at_billpt: Bench) -> None:
    first = sale()
    issued = await at_billpt.issue(first)
    at_billpt.learn(first, issued)
    moved = Address(name="Rita Sousa", street="Rua Velha 9", postcode="", city="Faro", country="PT")
    second = sale(an_order(id="1002", buyer=replace(KNOWN_BUYER, name=moved.name, billing=moved)))
    again = await at_billpt.issue(second, marker=OTHER)
    assert again.customer_id == issued.customer_id
    assert len(at_billpt.gateway.of(Purpose.ISSUE)) == 2
    ((was,), (now,)) = (at_billpt.emulator.marked(marker) for marker in (MARKER, OTHER))
    assert (was.snapshot["morada"], was.snapshot["codigo_postal"]) == ("Rua Nova 5", "4000-100")
    assert [now.snapshot[name] for name in ("morada", "codigo_postal", "cidade")] == ["Rua Velha 9", "0000-000", "Faro"]
    # The name of a tax number is the service's; the order's own is printed below.
    assert {row["nome"] for row in at_billpt.emulator.account.contacts if row["nif"] == "212345672"} == {"Rita Lopes"}
    assert now.observations == "Encomenda 1001. Cliente na encomenda: Rita Sousa"


async def test_what_is_given_away_is_accepted_at_list_price_less_100_per_cent(at_billpt: Bench) -> None:
    free = an_order(a_line("0.00", list_gross="20.00"), a_line("0.00", id="2", rate="6", list_gross="10.60"))
    draft = sale(free, zero_total=ZeroTotal.ISSUE)
    assert differences(draft, await at_billpt.issue(draft)) == ()


async def test_a_draft_becomes_final_without_a_second_document(at_billpt: Bench) -> None:
    draft = sale(ORDERS["several rates and shipping"])
    proof = await at_billpt.issue(draft, as_draft=True)
    assert not proof.final
    assert differences(draft, proof) == ()
    issued = await at_billpt.issue(draft, finalise=proof.provider_id)
    assert issued.final
    assert differences(draft, issued) == ()
    assert len(at_billpt.emulator.marked(MARKER)) == 1


async def test_a_draft_can_be_removed_and_removing_it_again_is_no_error(at_billpt: Bench) -> None:
    proof = await at_billpt.issue(sale(), as_draft=True)
    await at_billpt.service.delete_draft(proof.provider_id)
    await at_billpt.service.delete_draft(proof.provider_id)
    assert at_billpt.emulator.marked(MARKER) == []


async def test_a_final_document_cannot_be_removed(at_billpt: Bench) -> None:
    issued = await at_billpt.issue(sale())
    with pytest.raises(RefusedError) as caught:
        await at_billpt.service.delete_draft(issued.provider_id)
    assert caught.value.code == "billpt.235"


@pytest.mark.parametrize("amount", ["4.00", "29.50"], ids=["part", "all"])
async def test_a_refund_becomes_a_credit_note_over_the_originals_lines(at_billpt: Bench, amount: str) -> None:
    order = an_order(a_line("24.60", quantity="2"), shipping("4.90"), buyer=KNOWN_BUYER)
    draft = sale(order)
    issued = await at_billpt.issue(draft)
    credit = after(draft, replace(order, refunds=(a_refund(amount),)))
    noted = await at_billpt.issue(credit, marker=OTHER, originals={draft.key: issued})
    assert credit.kind is DocumentKind.NC
    assert noted.totals.gross == Decimal(amount)
    assert differences(credit, noted) == ()
    assert noted.customer_id == issued.customer_id
    assert await at_billpt.find(credit, OTHER, customer_id="4711") == (noted,)


async def test_a_payment_becomes_a_receipt_that_is_found_by_its_remarks(at_billpt: Bench) -> None:
    order = an_order(buyer=KNOWN_BUYER)
    invoice = sale(order, paid_document=PaidDocument.FT_RC)
    issued = await at_billpt.issue(invoice)
    receipt = after(invoice, order, paid_document=PaidDocument.FT_RC)
    paid = await at_billpt.issue(receipt, marker=OTHER, originals={invoice.key: issued})
    assert (receipt.kind, paid.totals.gross) == (DocumentKind.RC, invoice.totals.gross)
    assert differences(receipt, paid) == ()
    (found,) = await at_billpt.find(receipt, OTHER)
    assert (found.provider_id, found.number, found.marker) == (paid.provider_id, paid.number, OTHER)
    assert await at_billpt.find(receipt, "syncd:zzzz") == ()


# -- lost answers ------------------------------------------------------------------------------------------------

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


# -- refusals ----------------------------------------------------------------------------------------------------


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


# -- annulment, mail, check --------------------------------------------------------------------------------------


async def test_annulling_twice_is_annulling_once(at_billpt: Bench) -> None:
    issued = await at_billpt.issue(sale())
    await at_billpt.service.annul(issued.provider_id, "Encomenda anulada " * 30)
    await at_billpt.service.annul(issued.provider_id, "Encomenda anulada")
    assert (await at_billpt.service.read(issued.provider_id)).annulled


async def test_a_document_that_was_credited_cannot_be_annulled(at_billpt: Bench) -> None:
    order = an_order(buyer=KNOWN_BUYER)
    draft = sale(order)
    issued = await at_billpt.issue(draft)
    credit = after(draft, replace(order, refunds=(a_refund("12.30"),)))
    await at_billpt.issue(credit, marker=OTHER, originals={draft.key: issued})
    with pytest.raises(RefusedError) as caught:
        await at_billpt.service.annul(issued.provider_id, "Encomenda anulada")
    assert caught.value.code == "billpt.246"


async def test_a_note_takes_the_place_of_the_one_before(at_billpt: Bench) -> None:
    issued = await at_billpt.issue(sale())
    await at_billpt.service.note(issued.provider_id, "syncd: conferido")
    assert (await at_billpt.service.read(issued.provider_id)).marker == "syncd: conferido"


async def test_a_document_is_mailed_by_the_service(at_billpt: Bench) -> None:
    issued = await at_billpt.issue(sale())
    await at_billpt.service.email(issued.provider_id, "rita@loja.example")
    assert at_billpt.gateway.of(Purpose.WRITE_BACK) == ["POST documentos/enviar-por-email"]


async def test_a_document_is_read_as_it_was_issued(at_billpt: Bench) -> None:
    issued = await at_billpt.issue(sale(ORDERS["several rates and shipping"]))
    assert await at_billpt.service.read(issued.provider_id) == issued
    with pytest.raises(RefusedError):
        await at_billpt.service.read("999999")


async def test_a_sound_account_passes_its_check_and_its_lists_are_fresh(at_billpt: Bench) -> None:
    await at_billpt.directory.replace("tax", {"1": '{"valor": "99"}'})
    found = await at_billpt.service.check()
    assert all(finding.ok for finding in found), found
    assert {finding.subject for finding in found} >= {"token", "taxes", "payment methods", "exemption reasons"}
    assert len(await at_billpt.directory.table("tax")) > 3


async def test_a_check_says_which_series_is_missing() -> None:
    async with bench(series={"*": "NOPE"}) as at_billpt:
        assert [finding.subject for finding in await at_billpt.service.check() if not finding.ok] == ["series NOPE"]


# -- answers that the emulator does not give ---------------------------------------------------------------------

LISTS: dict[str, list[Any]] = {
    "GET /api/1.0/series": [(200, [{"id": 12, "nome": "WEB", "iva_incluido": 0, "principal": 1}])],
    "GET /api/1.0/impostos": [(200, [{"id": 1, "nome": "IVA 23", "valor": 23}])],
    "GET /api/1.0/metodos-pagamento": [(200, [{"id": 3, "simbolo": "CC"}, {"id": 1, "simbolo": "TB"}])],
    "GET /api/1.0/unidades-medida": [(200, [{"id": 1, "simbolo": "UN", "principal": 1}])],
    "GET /api/1.0/motivos-isencao": [(200, [{"id": 1, "codigo": "M01"}])],
    "GET /api/1.0/tipos-documento": [(200, [{"id": 3, "tipificacao": "FR"}])],
}
POST = "POST /api/1.0/documentos"
ISSUED: dict[str, Any] = {
    "id": 3501,
    "estado": "N",
    "terminado": 1,
    "contato_id": 58,
    "invoice_number": "FR WEB/17",
    "invoice_date": str(TODAY),
    "net_total": "10.00",
    "tax_total": "2.30",
    "gross_total": "12.30",
    "lancamentos": [],
}


@asynccontextmanager
async def against(replies: Mapping[str, list[Any]]) -> AsyncIterator[tuple[BillPt, Any, OpenGateway]]:
    async with scripted(replies) as server:
        gateway = OpenGateway()
        config = AccountConfig(name="main", base_url=server.url, token=SecretStr("t" * 128), timeout_seconds=5)
        service = BillPt(config, gateway, MemoryDirectory())
        try:
            yield service, server, gateway
        finally:
            await service.close()


UNUSABLE = {
    "no id": {key: value for key, value in ISSUED.items() if key != "id"},
    "no total": ISSUED | {"gross_total": None},
    "no number": ISSUED | {"invoice_number": ""},
    "a draft instead": ISSUED | {"terminado": 0},
    "an error beside the document": ISSUED | {"error": ["249"]},
    "a list": [ISSUED],
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_success_that_is_not_what_was_asked_for_is_uncertain(answer: object) -> None:
    async with against(LISTS | {POST: [(200, answer)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_a_final_document_where_a_draft_was_asked_for_is_uncertain() -> None:
    async with against(LISTS | {POST: [(201, ISSUED)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER, as_draft=True))


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_an_error_in_the_body_is_one_under_any_status(status: int) -> None:
    async with against(LISTS | {POST: [(status, {"error": ["206"]})]}) as (service, _, _):
        with pytest.raises(RefusedError) as caught:
            await service.issue(Issue(draft=sale(), marker=MARKER))
    assert caught.value.code == "billpt.206"


@pytest.mark.parametrize("answer", [(408, {}), (400, {"error": ["276"]}), (200, {"id": 1, "error": ["249"]})])
async def test_a_failed_look_up_never_looks_like_a_lost_document(answer: tuple[int, object]) -> None:
    async with against(LISTS | {"GET /api/1.0/series": [answer]}) as (service, _, _):
        with pytest.raises(NoEffectError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_a_text_that_is_too_long_is_cut_at_a_word_and_sent_once_more() -> None:
    replies = [(400, {"error": ["101.nome.6", "101.morada.8"]}), (200, ISSUED)]
    async with against(LISTS | {POST: replies}) as (service, server, gateway):
        issued = await service.issue(Issue(draft=sale(), marker=MARKER))
    first, second = server.bodies(POST)
    assert issued.number == "FR WEB/17"
    assert (first["contato"]["nome"], first["morada"]) == ("Rita Lopes", "Rua Nova 5")
    assert (second["contato"]["nome"], second["morada"]) == ("Rita", "Rua Nova")
    assert second["nota_documento"] == MARKER
    assert len(gateway.of(Purpose.ISSUE)) == 2


async def test_a_text_that_is_still_too_long_is_refused_after_one_more_try() -> None:
    replies = [(400, {"error": ["101.nome.6"]}), (400, {"error": ["101.nome.2"]})]
    async with against(LISTS | {POST: replies}) as (service, _, gateway):
        with pytest.raises(RefusedError):
            await service.issue(Issue(draft=sale(), marker=MARKER))
    assert len(gateway.of(Purpose.ISSUE)) == 2


async def test_a_second_try_that_gets_lost_is_uncertain() -> None:
    replies = [(400, {"error": ["101.nome.6"]}), (502, {})]
    async with against(LISTS | {POST: replies}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_prices_leave_as_numbers_with_all_their_digits() -> None:
    draft = sale(an_order(a_line("20.00", quantity="7"), buyer=KNOWN_BUYER))
    async with against(LISTS | {POST: [(200, ISSUED)]}) as (service, server, _):
        await service.issue(Issue(draft=draft, marker=MARKER))
    sent = next(seen.body for seen in server.seen if seen.method == "POST")
    assert f'"preco_unitario":{draft.lines[0].unit_price:f},'.encode() in sent


async def test_an_annulment_that_is_not_confirmed_is_uncertain() -> None:
    answer = {"id": 3501, "estado": "N"}
    async with against({"PATCH /api/1.0/documentos": [(200, answer)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.annul("3501", "Encomenda anulada")


async def test_receipts_have_no_drafts(at_billpt: Bench) -> None:
    order = an_order(buyer=KNOWN_BUYER)
    invoice = sale(order, paid_document=PaidDocument.FT_RC)
    receipt = after(invoice, order, paid_document=PaidDocument.FT_RC)
    with pytest.raises(RefusedError) as caught:
        await at_billpt.issue(receipt, as_draft=True)
    assert caught.value.code == "billpt.no_draft"
