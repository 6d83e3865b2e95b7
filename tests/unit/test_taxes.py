"""Where a sale is taxed, and why what bears no VAT bears none."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from syncd.domain.document import DraftLine, Nature
from syncd.domain.order import Buyer, LineKind, Order, OrderLine, PaymentState
from syncd.mapping import tables
from syncd.mapping.planner import plan
from syncd.mapping.policy import GiftCards, NonSupply, Policy
from tests.builders import LISBON_BUYER, a_line, a_policy, a_refund, an_order, grosses, issued, shipping

LESSON = a_line("116.00", rate="16", sku="AULA", name="Aula")
VIES = frozenset({"vies_unconfirmed"})


def buyer(country: str = "PT", postcode: str = "1000-001", tax_id: str = "", company: str = "") -> Buyer:
    billing = replace(LISBON_BUYER.billing, country=country, postcode=postcode, company=company)
    return replace(LISBON_BUYER, billing=billing, tax_id=tax_id)


def services(**changes: object) -> Policy:
    return a_policy(services=frozenset({"AULA"}), **changes)


def hold(order: Order, policy: Policy, accepted: frozenset[str] = frozenset()) -> str:
    made = plan(order, (), policy, accepted)
    assert made.documents == ()
    return made.holds[0].code


def line_of(order: Order, policy: Policy, accepted: frozenset[str] = frozenset()) -> DraftLine:
    made = plan(order, (), policy, accepted)
    assert not made.holds, made.holds
    return made.documents[0].lines[0]


def lesson(rate: str | None, **changes: str) -> Order:
    return an_order(a_line("116.00", rate=rate, sku="AULA", name="Aula"), buyer=buyer(**changes))


AZORES = {"postcode": "9500-100", "tax_id": "501964843", "company": "Empresa, Lda."}


def test_a_service_to_a_company_is_taxed_where_the_company_is() -> None:
    draft = plan(lesson("16", **AZORES), (), services()).documents[0]
    assert (draft.region, draft.totals.net) == ("PT-AC", Decimal("100.00"))
    assert hold(lesson("23", **AZORES), services()) == "vat_rate_mismatch"


def test_a_service_to_a_consumer_is_taxed_where_the_seller_is() -> None:
    order = lesson("23", postcode="9500-100")
    assert plan(order, (), services()).documents[0].region == "PT"
    assert hold(lesson("16", postcode="9500-100"), services()) == "vat_rate_mismatch"
    assert plan(lesson("16"), (), services(region="PT-AC")).documents[0].region == "PT-AC"


def test_goods_to_the_same_company_are_taxed_where_they_start() -> None:
    assert hold(lesson("16", **AZORES), a_policy()) == "vat_rate_mismatch"
    assert plan(lesson("23", **AZORES), (), a_policy()).documents[0].region == "PT"


def test_a_region_that_decides_the_rate_must_be_told() -> None:
    assert hold(lesson("16", **{**AZORES, "postcode": "?"}), services()) == "region_unknown"


def test_goods_and_services_of_two_regions_are_two_documents_whichever_goes_out_first() -> None:
    order = an_order(LESSON, a_line("12.30", id="2"), shipping("4.90"), buyer=buyer(**AZORES))
    goods, lesson_ = plan(order, (), services()).documents
    assert [
        (goods.key.part, goods.region, goods.totals.gross),
        (lesson_.key.part, lesson_.region, lesson_.totals.gross),
    ] == [
        ("sale", "PT", Decimal("17.20")),
        ("extra-1", "PT-AC", LESSON.gross),
    ]
    (again,) = plan(order, issued(goods), services()).documents
    assert (again.key, again.region, again.lines) == (lesson_.key, "PT-AC", lesson_.lines)
    assert plan(order, issued(goods, lesson_), services()).documents == ()
    back = replace(order, refunds=(a_refund(str(order.total)),))
    notes = plan(back, issued(goods, lesson_), services()).documents
    assert grosses(notes) == [("NC", "17.20"), ("NC", str(LESSON.gross))]


def test_money_in_advance_for_two_regions_waits_for_a_person() -> None:
    order = an_order(LESSON, a_line("12.30", id="2"), buyer=buyer(**AZORES), payment=PaymentState.PARTIAL)
    assert hold(order, services()) == "several_regions"


def test_goods_and_services_of_one_region_share_a_document_and_shipping_follows_the_goods() -> None:
    lines = (a_line("123.00", sku="AULA"), a_line("10.60", rate="6", id="2", sku="LIVRO"), shipping("3.00", rate=None))
    (draft,) = plan(an_order(*lines), (), services()).documents
    assert [line.nature.value for line in draft.lines] == ["service", "goods", "service", "service"]
    assert draft.totals.gross == Decimal("136.60")


def test_a_service_to_a_company_in_another_member_state_is_reverse_charged_once_its_number_is_confirmed() -> None:
    order = lesson(None, country="DE", postcode="20095", tax_id="DE136695976", company="Beispiel GmbH")
    assert hold(order, services()) == "vies_unconfirmed"
    assert line_of(order, services(), VIES).exemption == "M40"
    assert line_of(order, a_policy(), VIES).exemption == "M16"  # goods


def test_a_service_without_vat_to_a_consumer_abroad_needs_a_reason() -> None:
    assert hold(lesson(None, country="DE", postcode="20095"), services()) == "untaxed_line"
    assert hold(lesson(None, country="US", postcode="10001"), services()) == "untaxed_line"
    electronic = services(exemptions={"AULA": "M44"})
    assert line_of(lesson(None, country="US", postcode="10001"), electronic).exemption == "M44"


def test_a_service_to_a_company_outside_the_union_is_not_taxed_here() -> None:
    order = lesson(None, country="US", postcode="10001", tax_id="12-3456789", company="Sample Inc.")
    assert line_of(order, services()).exemption == "M40"


def test_a_service_to_a_consumer_in_another_member_state_under_the_one_stop_shop() -> None:
    german = lesson("19", country="DE", postcode="20095")
    assert plan(german, (), services(oss=True)).documents[0].region == "DE"
    assert hold(german, services()) == "vat_rate_mismatch"


def test_monaco_is_taxed_as_france() -> None:
    (draft,) = plan(lesson("20", country="MC", postcode="98000"), (), a_policy(oss=True)).documents
    assert draft.region == "FR"


def test_a_small_business_charges_no_vat_on_services_either() -> None:
    assert line_of(lesson(None, **AZORES), services(regime="art53")).exemption == "M10"


def test_everything_can_be_a_service_but_what_is_named_as_goods() -> None:
    order = an_order(a_line("12.30", sku="A"), a_line("12.30", id="2", sku="B"))
    policy = a_policy(default_nature=Nature.SERVICE, goods=frozenset({"B"}))
    assert [line.nature.value for line in plan(order, (), policy).documents[0].lines] == ["service", "goods"]


@pytest.mark.parametrize(
    ("postcode", "region"),
    [
        ("1000-001", "PT"),
        ("8999", "PT"),
        ("9000 060", "PT-MA"),
        ("9400-160", "PT-MA"),  # Porto Santo
        ("9499-999", "PT-MA"),
        ("9500100", "PT-AC"),
        ("9980-024", "PT-AC"),
        ("", ""),
        ("SW1A 1AA", ""),
        ("0999-999", ""),
    ],
)
def test_postcodes_tell_the_region(postcode: str, region: str) -> None:
    assert tables.portuguese_region(postcode) == region


UNTAXED = a_line("40.00", rate=None, sku="USADO", tax_class="usados", product_type="vinil")


@pytest.mark.parametrize("key", ["USADO", "usados", "vinil"])
@pytest.mark.parametrize("code", ["M07", "M13", "M14", "M15"])
def test_an_exempt_article_needs_an_entry_of_its_own(key: str, code: str) -> None:
    order = an_order(UNTAXED)
    assert hold(order, a_policy()) == "untaxed_line"
    line = line_of(order, a_policy(exemptions={key: code}))
    assert (line.exemption, line.net, line.gross) == (code, Decimal("40.00"), Decimal("40.00"))
    assert not line.vat_rate
    assert not line.tax


def test_a_code_counts_only_while_it_is_in_force() -> None:
    mapped = a_policy(exemptions={"USADO": "M35"})
    assert line_of(an_order(UNTAXED), mapped).exemption == "M35"
    before = datetime(2026, 6, 30, 12, tzinfo=UTC)
    assert hold(an_order(UNTAXED, paid_at=before, created_at=before), mapped) == "exemption_not_in_force"
    assert hold(an_order(UNTAXED), a_policy(exemptions={"USADO": "M08"})) == "exemption_not_in_force"
    assert hold(an_order(UNTAXED), a_policy(exemptions={"USADO": "M77"})) == "exemption_not_in_force"


def test_a_code_for_buyers_abroad_counts_for_nobody_in_portugal() -> None:
    assert hold(an_order(UNTAXED), a_policy(exemptions={"USADO": "M40"})) == "untaxed_line"


def test_an_exempt_article_that_was_taxed_is_a_contradiction() -> None:
    order, mapped = an_order(a_line("12.30", sku="USADO")), a_policy(exemptions={"USADO": "M13"})
    assert hold(order, mapped) == "exempt_but_taxed"
    assert line_of(order, mapped, frozenset({"exempt_but_taxed"})).vat_rate == 23


def test_abroad_the_place_gives_the_reason_not_the_table() -> None:
    order = an_order(UNTAXED, buyer=buyer("US", "10001"))
    assert line_of(order, a_policy(exemptions={"USADO": "M13"})).exemption == "M05"


def test_margin_goods_and_taxed_goods_share_a_document() -> None:
    order = an_order(UNTAXED, a_line("12.30", id="2"), shipping("4.90"))
    (draft,) = plan(order, (), a_policy(exemptions={"USADO": "M13"})).documents
    assert [(str(tax.rate), tax.exemption, str(tax.base)) for tax in draft.taxes] == [
        ("0.00", "M13", "40.00"),
        ("23", None, "13.98"),
    ]


GIFT_CARD = a_line("25.00", rate=None, id="2", kind=LineKind.GIFT_CARD, name="Vale")
DONATION = a_line("3.00", rate=None, id="2", kind=LineKind.FEE, name="  DONATIVO Solidário ")


@pytest.mark.parametrize(
    ("line", "policy"),
    [
        (GIFT_CARD, a_policy(gift_cards=GiftCards.MULTI_PURPOSE_SHOWN)),
        (a_line("2.00", rate=None, id="2", kind=LineKind.TIP), a_policy()),
        (DONATION, a_policy(non_supply_names=frozenset({"donativo solidario"}))),
        (replace(DONATION, kind=LineKind.ARTICLE), a_policy(non_supply_names=frozenset({"donativo solidario"}))),
        (replace(DONATION, kind=LineKind.ARTICLE, sku="D"), a_policy(exemptions={"D": "M99"})),
    ],
    ids=["gift-card", "tip", "donation-fee", "donation-article", "donation-mapped"],
)
def test_what_is_no_supply_stands_outside_vat(line: OrderLine, policy: Policy) -> None:
    (draft,) = plan(an_order(a_line("20.00"), line), (), policy).documents
    shown = next(made for made in draft.lines if made.line_id == "2")
    assert (shown.exemption, shown.net, shown.gross) == ("M99", line.gross, line.gross)


def test_donations_are_left_out_by_policy_and_only_by_their_names() -> None:
    order = an_order(a_line("20.00"), DONATION)
    policy = a_policy(non_supply=NonSupply.LEAVE_OUT, non_supply_names=frozenset({"donativo solidario"}))
    assert plan(order, (), policy).documents[0].totals.gross == Decimal("20.00")
    follows_the_goods = plan(order, (), a_policy()).documents[0].lines[1]
    assert (follows_the_goods.vat_rate, follows_the_goods.exemption) == (Decimal(23), None)


def test_a_donation_that_was_taxed_is_an_ordinary_fee() -> None:
    taxed = a_line("3.00", id="2", kind=LineKind.FEE, name="Donativo")
    policy = a_policy(non_supply_names=frozenset({"donativo"}))
    assert plan(an_order(a_line("20.00"), taxed), (), policy).documents[0].lines[1].vat_rate == 23


def test_shipping_does_not_follow_what_is_no_supply() -> None:
    order = an_order(a_line("20.00"), replace(UNTAXED, id="2"), shipping("4.90", rate=None))
    (draft,) = plan(order, (), a_policy(exemptions={"USADO": "M99"})).documents
    assert [(str(line.vat_rate), str(line.gross)) for line in draft.lines[2:]] == [("23", "4.90")]


@pytest.mark.parametrize(
    ("region", "day", "since"),
    [
        ("PT", date(2026, 11, 20), "2011-01-01"),
        ("PT-MA", date(2026, 11, 20), "2024-10-01"),
        ("PT-MA", date(2024, 9, 30), "2012-04-01"),
        ("PT-AC", date(2026, 11, 20), "2021-07-01"),
        ("DE", date(2026, 11, 20), "2021-01-01"),
        ("XX", date(2026, 11, 20), ""),
    ],
)
def test_tables_say_since_when(region: str, day: date, since: str) -> None:
    assert tables.rates_since(region, day) == since
