"""Which documents an order asks for, whom they name and where they are taxed, and what waits for a person."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from syncd.domain.document import DocumentKind
from syncd.domain.order import Lifecycle, LineKind, Order, PaymentState
from syncd.domain.states import DocumentState
from syncd.mapping.planner import plan
from syncd.mapping.policy import PaidDocument, ZeroTotal
from tests.builders import LISBON_BUYER, a_line, a_policy, a_refund, an_order, grosses, hold_code, issued, shipping


def test_a_paid_order_becomes_one_invoice_receipt_of_what_was_paid() -> None:
    made = plan(an_order(a_line("25.00"), shipping("4.90")), (), a_policy())
    assert grosses(made.documents) == [("FR", "29.90")]
    assert made.documents[0].expected.gross == Decimal("29.90")
    assert str(made.documents[0].key) == "main/loja/1001/FR/sale"


@pytest.mark.parametrize(
    "order",
    [
        an_order(payment=PaymentState.UNPAID, paid_at=None),
        an_order(payment=PaymentState.PARTIAL, payments=()),
        an_order(state="on-hold"),
        an_order(lifecycle=Lifecycle.DRAFT),
        an_order(lifecycle=Lifecycle.CANCELLED),
        an_order(lifecycle=Lifecycle.DELETED),
        an_order(a_line("0.00", list_gross="20.00")),
        an_order(a_line("25.00", rate=None, kind=LineKind.GIFT_CARD)),
    ],
    ids=["unpaid", "part-paid", "wrong-state", "draft", "cancelled", "deleted", "zero", "gift-card-only"],
)
def test_nothing_is_due(order: Order) -> None:
    made = plan(order, (), a_policy())
    assert (made.documents, made.holds) == ((), ())
    assert made.reason


def test_an_unpaid_order_becomes_an_invoice_by_policy_and_a_receipt_when_the_money_comes() -> None:
    policy = a_policy(unpaid_document=True)
    unpaid = an_order(payment=PaymentState.UNPAID, paid_at=None, payments=())
    (invoice,) = plan(unpaid, (), policy).documents
    assert invoice.kind is DocumentKind.FT
    assert plan(unpaid, issued(invoice), policy).documents == ()
    (receipt,) = plan(an_order(), issued(invoice), policy).documents
    assert (receipt.kind, receipt.totals.gross, receipt.references[0].key) == (
        DocumentKind.RC,
        invoice.totals.gross,
        invoice.key,
    )


def test_invoice_and_receipt_together_by_policy() -> None:
    made = plan(an_order(), (), a_policy(paid_document=PaidDocument.FT_RC))
    assert grosses(made.documents) == [("FT", "12.30"), ("RC", "12.30")]


@pytest.mark.parametrize(
    ("gross", "company", "services", "kind"),
    [
        ("87.50", False, False, "FS"),
        ("1000.00", False, False, "FS"),
        ("1000.01", False, False, "FR"),
        ("150.00", True, False, "FR"),
        ("99.00", True, False, "FS"),
        ("150.00", False, True, "FR"),
    ],
)
def test_a_simplified_invoice_only_within_its_limits(gross: str, company: bool, services: bool, kind: str) -> None:
    buyer = replace(LISBON_BUYER, tax_id="501964843", billing=replace(LISBON_BUYER.billing, company="Loja, Lda."))
    lines = [a_line(gross), shipping("3.00")] if services else [a_line(gross)]
    order = an_order(*lines, buyer=buyer if company else LISBON_BUYER)
    (draft,) = plan(order, (), a_policy(paid_document=PaidDocument.FS)).documents
    assert draft.kind.value == kind


def test_planning_again_changes_nothing() -> None:
    order = an_order(refunds=(a_refund("12.30"),))
    first = plan(order, (), a_policy())
    planned = plan(order, issued(*first.documents, state=DocumentState.PLANNED), a_policy())
    assert planned.documents == first.documents
    assert plan(order, issued(*first.documents), a_policy()).documents == ()


def test_an_unsent_document_follows_the_order() -> None:
    (sale,) = plan(an_order(a_line("10.00")), (), a_policy()).documents
    made = plan(an_order(a_line("20.00")), issued(sale, state=DocumentState.PLANNED), a_policy())
    assert grosses(made.documents) == [("FR", "20.00")]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (an_order(currency="USD"), "currency"),
        (an_order(total=Decimal("12.29")), "sum_mismatch"),
        (an_order(a_line("10.00", rate="22")), "vat_rate_mismatch"),
        (an_order(a_line("10.00", rate=None)), "untaxed_line"),
        (an_order(a_line("10.00", quantity="-1")), "bad_quantity"),
        (an_order(doubts=("lines come to 1.00, total is 2.00",)), "order_doubtful"),
        (an_order(buyer=replace(LISBON_BUYER, tax_id="501964842")), "invalid_nif"),
        (an_order(a_line("0.00", list_gross="90.00")), "zero_total"),
        (
            an_order(a_line("1500.00"), buyer=replace(LISBON_BUYER, billing=replace(LISBON_BUYER.billing, street=""))),
            "customer_incomplete",
        ),
        (an_order(a_line("10.00"), a_line("-2.00", rate=None, id="2", kind=LineKind.FEE)), "negative_fee"),
    ],
)
def test_what_cannot_be_decided_is_held_with_a_way_out(order: Order, code: str) -> None:
    made = plan(order, (), a_policy(zero_total=ZeroTotal.SKIP))
    assert [hold.code for hold in made.holds] == [code]
    assert made.documents == ()
    assert made.holds[0].message
    assert made.holds[0].fix


def test_a_unknown_payment_method_is_held_only_by_policy() -> None:
    order = an_order(gateway="quinquilharia")
    (draft,) = plan(order, (), a_policy()).documents
    assert draft.payment == "OU"
    assert "'quinquilharia' is in no table" in draft.why
    assert hold_code(order, a_policy(unknown_payment="hold")) == "unknown_payment"


@pytest.mark.parametrize(
    ("gateway", "code"),
    [
        ("bacs", "TB"),
        ("multibanco_ifthen_for_woocommerce", "MB"),
        ("mbway_ifthen_for_woocommerce", "CD"),
        ("stripe", "CC"),
        ("ppcp-gateway", "DE"),
        ("cod", "NU"),
        ("shopify_payments", "CC"),
        ("gift_card", "CO"),
        ("Transferência", "TB"),
        ("eupago_cofidispay", "OU"),
        ("klarna_checkout_payments", "OU"),
        ("kco", "OU"),
        ("easypay_mb", "MB"),
        ("easypay_mbway", "CD"),
        ("easypay_dd", "TB"),
        ("ifthenpay_mb", "MB"),
        ("hipay_professional_multibanco", "MB"),
        ("payshop_ifthen_for_woocommerce", "NU"),
        ("Débito direto", "TB"),
        ("Cartão de débito", "CD"),
        ("À cobrança", "NU"),
        ("stripe_giropay", "TB"),
        ("stripe_bancontact", "CD"),
        ("stripe_checkout", "CC"),
        ("wc_checkout_com_cards", "CC"),
        ("cheque", "CH"),
        ("edenred", "TR"),
        ("pontos", "DE"),
        ("paysafecard", "DE"),
        ("Bank Deposit", "TB"),
        ("bizumredsys", "TB"),
        ("viva_wallet", "CC"),
        ("shopify_store_credit", "CO"),
    ],
)
def test_gateways_have_their_saft_mechanism(gateway: str, code: str) -> None:
    assert plan(an_order(gateway=gateway), (), a_policy()).documents[0].payment == code


def test_orders_before_the_start_are_left_alone() -> None:
    assert plan(an_order(), (), a_policy(start_after=date(2026, 12, 1))).documents == ()


def test_the_customer_is_anonymous_without_a_tax_number() -> None:
    (draft,) = plan(an_order(), (), a_policy()).documents
    assert (draft.customer.code, draft.customer.tax_id, draft.customer.name) == ("", "999999990", "Consumidor final")


def test_a_tax_number_names_the_customer() -> None:
    buyer = replace(LISBON_BUYER, tax_id="PT 501 964 843", billing=replace(LISBON_BUYER.billing, company="Loja, Lda."))
    (draft,) = plan(an_order(buyer=buyer), (), a_policy()).documents
    assert (draft.customer.code, draft.customer.tax_id, draft.customer.name) == (
        "PT501964843",
        "501964843",
        "Loja, Lda.",
    )


def to(country: str, **changes: str) -> Order:
    address = replace(LISBON_BUYER.billing, country=country, postcode=changes.get("postcode", "10115"))
    buyer = replace(LISBON_BUYER, billing=address, tax_id=changes.get("tax_id", ""))
    rate = changes.get("rate")
    return an_order(a_line("119.00", rate=rate), buyer=buyer)


def test_an_export_is_exempt_with_its_reason() -> None:
    (draft,) = plan(to("US"), (), a_policy()).documents
    assert [(str(line.vat_rate), line.exemption) for line in draft.lines] == [("0.00", "M05")]
    assert draft.customer.country == "US"


def test_an_export_that_was_taxed_is_held() -> None:
    assert hold_code(to("US", rate="23")) == "export_with_tax"


def test_the_canaries_are_outside_the_vat_territory() -> None:
    (draft,) = plan(to("ES", postcode="35001"), (), a_policy()).documents
    assert draft.lines[0].exemption == "M05"


def test_a_consumer_in_another_member_state_pays_home_rates_below_the_threshold_and_theirs_under_oss() -> None:
    assert plan(to("DE", rate="23"), (), a_policy()).documents[0].region == "PT"
    assert hold_code(to("DE", rate="19")) == "vat_rate_mismatch"
    (draft,) = plan(to("DE", rate="19"), (), a_policy(oss=True)).documents
    assert (draft.region, draft.totals.net) == ("DE", Decimal("100.00"))


def test_a_company_in_another_member_state_waits_for_vies() -> None:
    order = to("ES", tax_id="ESB58378431")
    assert hold_code(order) == "vies_unconfirmed"
    (draft,) = plan(order, (), a_policy(), frozenset({"vies_unconfirmed"})).documents
    assert (draft.lines[0].exemption, draft.customer.tax_id) == ("M16", "ESB58378431")


def test_a_small_business_charges_no_vat() -> None:
    (draft,) = plan(an_order(a_line("10.00", rate=None)), (), a_policy(regime="art53")).documents
    assert draft.lines[0].exemption == "M10"
