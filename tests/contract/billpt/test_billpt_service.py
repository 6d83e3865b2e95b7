"""The adapter against the emulator of Bill.pt: what is issued comes out as planned, is read, annulled and mailed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from syncd.dispatch.verify import differences
from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import DocumentKind, PriceMode
from syncd.domain.errors import MisjudgedAccountError, RefusedError
from syncd.domain.order import Address, Order
from syncd.domain.states import DocumentState
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.mapping.policy import PaidDocument, ZeroTotal
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import Purpose, load_service
from syncd.sandbox.billpt.settings import Arithmetic as SandboxArithmetic
from syncd.sandbox.billpt.settings import Settings
from tests.builders import a_line, a_refund, an_order, shipping
from tests.contract.billpt.bench import KNOWN_BUYER, MARKER, ORDERS, OTHER, POLICY, Bench, after, bench, sale


def test_the_adapter_is_found_by_its_services_name() -> None:
    assert load_service("billpt") is BillPt


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
