"""The merchant's own rules, notes and delay."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.app import policy_of
from syncd.domain.document import DocumentKind, Nature
from syncd.domain.order import Order
from syncd.mapping.planner import plan
from syncd.mapping.policy import Deposits, GiftCards, PaidDocument, Rule, RuleAction
from syncd.mapping.report import document_json
from syncd.settings import Settings
from tests.builders import ABLE, LISBON_BUYER, PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued
from tests.woocommerce import a_shop

SKIP, HOLD, ISSUE = RuleAction.SKIP, RuleAction.HOLD, RuleAction.ISSUE
SPAIN = replace(LISBON_BUYER, billing=replace(LISBON_BUYER.billing, country="ES"))


@pytest.mark.parametrize(
    ("condition", "fits", "fits_not"),
    [
        ({"tags": frozenset({"b2b", "grosso"})}, an_order(tags=("grosso", "x")), an_order(tags=("x",))),
        ({"countries": frozenset({"ES"})}, an_order(buyer=SPAIN), an_order()),
        ({"countries": frozenset({"PT"})}, an_order(), an_order(buyer=SPAIN)),
        ({"gateways": frozenset({"cod"})}, an_order(gateway="cod"), an_order(gateway="stripe")),
        ({"at_least": Decimal(100)}, an_order(a_line("100.00")), an_order(a_line("99.99"))),
        ({"below": Decimal(100)}, an_order(a_line("99.99")), an_order(a_line("100.00"))),
        (
            {"at_least": Decimal(10), "tags": frozenset({"x"})},
            an_order(a_line("10.00"), tags=("x",)),
            an_order(a_line("10.00")),
        ),
        ({}, an_order(), None),
    ],
    ids=["tag", "country", "home", "gateway", "at-least", "below", "both", "every-order"],
)
def test_a_rule_fits_where_all_its_conditions_hold(
    condition: dict[str, Any], fits: Order, fits_not: Order | None
) -> None:
    policy = a_policy(rules=(Rule(action=SKIP, **condition),))
    left_alone = plan(fits, (), policy)
    assert (left_alone.documents, left_alone.holds) == ((), ())
    assert left_alone.reason.startswith("left alone by rule 1 (")
    assert left_alone.reason.endswith(") of the shop")
    if fits_not is not None:
        assert plan(fits_not, (), policy).documents


def test_a_rule_can_ask_for_a_person_who_can_release() -> None:
    policy = a_policy(rules=(Rule(action=HOLD, at_least=Decimal(10), reason="grandes"),))
    (hold,) = plan(an_order(), (), policy).holds
    assert (hold.code, hold.message) == ("held_by_rule", "rule 1 (grandes) of the shop asks for a person")
    assert plan(an_order(), (), policy, frozenset({"held_by_rule"})).documents


def test_the_first_rule_that_fits_decides() -> None:
    rules = (Rule(action=ISSUE, tags=frozenset({"ok"})), Rule(action=HOLD))
    assert plan(an_order(tags=("ok",)), (), a_policy(rules=rules)).documents
    assert plan(an_order(), (), a_policy(rules=rules)).holds


def test_a_rule_can_choose_the_document() -> None:
    rules = (Rule(gateways=frozenset({"bacs"}), document=PaidDocument.FT_RC),)
    made = plan(an_order(gateway="bacs"), (), a_policy(rules=rules)).documents
    assert grosses(made) == [("FT", "12.30"), ("RC", "12.30")]
    assert grosses(plan(an_order(), (), a_policy(rules=rules)).documents) == [("FR", "12.30")]


def test_a_rule_can_choose_the_series_of_invoices_and_the_plan_names_the_rule() -> None:
    rules = (Rule(action=SKIP, tags=frozenset({"x"})), Rule(countries=frozenset({"PT"}), series="B2C", reason="casa"))
    policy = a_policy(rules=rules, series={DocumentKind.NC: "DEV"})
    made = plan(an_order(refunds=(a_refund("12.30"),)), (), policy).documents
    assert [(draft.kind.value, draft.series) for draft in made] == [("FR", "B2C"), ("NC", "DEV")]
    assert made[0].why == "paid (paid_document); rule 2 (casa) of the shop"
    assert document_json(made[0])["why"] == made[0].why
    assert plan(an_order(), (), a_policy()).documents[0].series == ""


@pytest.mark.parametrize(
    ("gross", "changes", "why"),
    [
        ("10.00", {}, "paid (paid_document)"),
        ("10.00", {"paid_document": PaidDocument.FS}, "within the limits of CIVA art. 40 (paid_document)"),
        (
            "1000.01",
            {"paid_document": PaidDocument.FS},
            "paid, and beyond what CIVA art. 40 allows an FS (paid_document)",
        ),
        ("10.00", {"paid_document": PaidDocument.FT_RC}, "an invoice and its receipt (paid_document)"),
    ],
)
def test_a_document_says_why_it_is_of_its_kind(gross: str, changes: dict[str, Any], why: str) -> None:
    assert plan(an_order(a_line(gross)), (), a_policy(**changes)).documents[0].why == why


def test_a_rule_says_nothing_of_what_is_not_due_or_is_out_already() -> None:
    policy = a_policy(rules=(Rule(action=HOLD),))
    assert plan(an_order(state="on-hold"), (), policy).holds == ()
    out = issued(*plan(an_order(), (), a_policy()).documents)
    assert plan(an_order(), out, policy).holds == ()


def test_notes_are_the_merchants() -> None:
    order = an_order(number="#77", discount_codes=("VERAO", "AMIGO"))
    policy = a_policy(notes="{shop} {number}, paga em {paid_on} ({discounts})")
    assert plan(order, (), policy).documents[0].notes == "loja #77, paga em 2026-11-20 (VERAO, AMIGO)"


def test_a_delay_leaves_time_for_regrets_within_the_day_of_payment() -> None:
    policy = a_policy(delay=timedelta(minutes=30))
    assert plan(an_order(), (), policy).documents[0].due_at == PAID_AT + timedelta(minutes=30)
    late = datetime(2026, 11, 20, 23, 40, tzinfo=UTC)
    assert plan(an_order(paid_at=late), (), policy).documents[0].due_at == late + timedelta(minutes=10)
    latest = datetime(2026, 11, 20, 23, 55, tzinfo=UTC)
    assert plan(an_order(paid_at=latest), (), policy).documents[0].due_at == latest


def test_a_delayed_document_keeps_the_rates_of_the_day_of_payment_and_its_clock() -> None:
    summer = datetime(2026, 7, 1, 22, 45, tzinfo=UTC)  # 23:45 in Lisbon
    policy = a_policy(delay=timedelta(hours=2))
    assert plan(an_order(paid_at=summer), (), policy).documents[0].due_at == summer + timedelta(minutes=5)


SETTINGS: dict[str, Any] = {
    "accounts": {"main": {"provider": "billpt", "base_url": "https://app.bill.pt", "token": "token"}},
    "shops": {
        "loja": {
            "platform": "woocommerce",
            "account": "main",
            "url": "https://loja.example",
            "webhook_secret": "secret",
        }
    },
}


def settings(**shop: Any) -> Settings:
    return Settings(**{**SETTINGS, "shops": {"loja": {**SETTINGS["shops"]["loja"], **shop}}})


def test_what_the_settings_say_reaches_the_planner() -> None:
    told = settings(
        rules=[
            {"action": "hold", "tags": ["b2b"], "at_least": "99.50"},
            {"payments": ["cod"], "document": "FT+RC", "series": "COD"},
        ],
        exemptions={"USADO": "M13"},
        services=["AULA"],
        goods=["KIT"],
        default_nature="service",
        gift_cards="multi_purpose_shown",
        non_supply_names=["Donativo Solidário"],
        notes="Encomenda {number} de {shop}",
        delay_minutes=15,
        deposits="wait",
        paid_document="FS",
        series={"NC": "DEV", "*": "WEB"},
    )
    policy = policy_of(told, "loja", ABLE, a_shop())
    assert policy.rules == (
        Rule(action=HOLD, tags=frozenset({"b2b"}), at_least=Decimal("99.50")),
        Rule(gateways=frozenset({"cod"}), document=PaidDocument.FT_RC, series="COD"),
    )
    assert policy.paid_document is PaidDocument.FS
    assert (policy.series[DocumentKind.NC], policy.series[DocumentKind.FR]) == ("DEV", "WEB")
    assert (policy.exemptions, policy.services, policy.goods) == (
        {"USADO": "M13"},
        frozenset({"AULA"}),
        frozenset({"KIT"}),
    )
    assert (policy.default_nature, policy.gift_cards) == (Nature.SERVICE, GiftCards.MULTI_PURPOSE_SHOWN)
    assert policy.deposits is Deposits.WAIT
    assert policy.non_supply_names == frozenset({"donativo solidario"})
    assert (policy.notes, policy.delay) == ("Encomenda {number} de {shop}", timedelta(minutes=15))
    assert plan(an_order(), (), policy).documents[0].notes == "Encomenda 1001 de loja"


@pytest.mark.parametrize(
    "wrong",
    [
        {"series": {"NX": "DEV"}},
        {"notes": "Encomenda {numero}"},
        {"notes": "Encomenda {number.real}"},
        {"notes": "Encomenda {number"},
        {"exemptions": {"USADO": "M77"}},
        {"rules": [{"action": "delete"}]},
        {"rules": [{"tag": ["b2b"]}]},
        {"rules": [{"countries": ["Portugal"]}]},
        {"delay_minutes": -1},
        {"default_nature": "both"},
    ],
)
def test_what_the_settings_get_wrong_stops_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)
