"""What a plan says to people and programs, and that it can be read back."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.order import LineKind, OrderLine
from syncd.domain.registers import Consultation, Evidence, RateTable
from syncd.mapping.planner import plan
from syncd.mapping.policy import Policy, RatePolicy
from syncd.mapping.report import ReportError, drafts_of, evidence_json, evidence_of, plan_json
from syncd.store.codec import dump_draft, load_draft
from tests.builders import LISBON_BUYER, PAID_AT, a_line, a_policy, a_refund, an_order, issued, shipping

SPAIN = replace(
    LISBON_BUYER, tax_id="ESB58378431", billing=replace(LISBON_BUYER.billing, country="ES", postcode="28001")
)
NEW_YORK = replace(LISBON_BUYER, billing=replace(LISBON_BUYER.billing, country="US"))
VIES = frozenset({"vies_unconfirmed"})


def why(*lines: OrderLine, policy: Policy | None = None, accepted: frozenset[str] = frozenset(), **order: Any) -> str:
    made = plan(an_order(*lines, **order), (), policy or a_policy(), accepted)
    assert not made.holds, made.holds
    said: str = plan_json(made)["documents"][0]["lines"][-1]["why"]
    return said


def test_a_rate_says_who_charged_it_where_it_is_in_force_and_why_there() -> None:
    assert why() == (
        "23 %: charged by the shop, in force in PT since 2011-01-01; "
        "goods start in PT (fiscal rule: transport); article by its SKU"
    )


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("6 %: follows the goods", {"lines": (a_line("10.60", rate="6"), shipping("2.12", rate=None))}),
        ("the law's rate", {"lines": (a_line(rate="22"),), "policy": a_policy(on_rate_mismatch=RatePolicy.FOLLOW_LAW)}),
        ("a person or the settings follow", {"lines": (a_line(rate="22"),), "accepted": {"vat_rate_mismatch"}}),
        ("given away", {"lines": (a_line(), a_line("0.00", rate=None, id="2", list_gross="5.00"))}),
        ("M99: nothing is supplied", {"lines": (a_line(), a_line("2.00", rate=None, id="2", kind=LineKind.TIP))}),
        ("M05: nothing may bear VAT", {"lines": (a_line(rate=None),), "buyer": NEW_YORK}),
        ("goods leave the EU VAT territory", {"lines": (a_line(rate=None),), "buyer": NEW_YORK}),
        ("“Isento artigo 14.º do RITI”", {"lines": (a_line(rate=None),), "buyer": SPAIN, "accepted": VIES}),
        (
            "M13: the shop's settings say so of 'CAN-1'",
            {"lines": (a_line(rate=None),), "policy": a_policy(exemptions={"CAN-1": "M13"})},
        ),
        ("codes of V4.0, 2026-06-18", {"lines": (a_line(rate=None),), "policy": a_policy(exemptions={"CAN-1": "M13"})}),
        ("small-business exemption", {"lines": (a_line(rate=None),), "policy": a_policy(regime="art53")}),
        ("services of a seller in PT", {"policy": a_policy(services=frozenset({"CAN-1"}))}),
        (
            "consumer in ES (fiscal rule: One Stop Shop)",
            {"lines": (a_line(rate="21"),), "buyer": SPAIN, "policy": a_policy(oss=True)},
        ),
        ("since 2024-10-01", {"lines": (a_line(rate="22"),), "policy": a_policy(ship_from="PT-MA")}),
        ("article by the shop's settings", {"policy": a_policy(articles={"CAN-1": "CANECA"})}),
        ("article by its name", {"lines": (a_line(sku=""),)}),
        ("article by its kind", {"lines": (a_line(), shipping())}),
    ],
)
def test_every_reason_has_its_words(said: str, given: dict[str, Any]) -> None:
    lines, accepted = given.pop("lines", ()), frozenset(given.pop("accepted", ()))
    assert said in why(*lines, accepted=accepted, **given)


def test_a_key_with_blanks_is_told_whole() -> None:
    line = a_line(rate=None, product_type="livro usado antigo")
    assert "'livro usado antigo'" in why(line, policy=a_policy(exemptions={"livro usado antigo": "M15"}))


def test_a_credit_note_keeps_the_reasons_of_its_document() -> None:
    order = an_order(refunds=(a_refund("12.30"),))
    note = plan_json(plan(order, (), a_policy()))["documents"][1]
    assert note["lines"][0]["why"].startswith("as on the document that it corrects: 23 %: charged by the shop")


def test_a_draft_without_reasons_says_none() -> None:
    made = plan(an_order(), (), a_policy())
    (draft,) = made.documents
    bare = replace(draft, lines=tuple(replace(line, why="") for line in draft.lines))
    assert plan_json(replace(made, documents=(bare,)))["documents"][0]["lines"][0]["why"] == ""


def test_what_is_printed_is_read_back_and_planned_on() -> None:
    order = an_order(a_line("20.00"), a_line("10.60", rate="6", id="2"), shipping())
    made = plan(order, (), a_policy())
    printed = json.loads(json.dumps(plan_json(made)))
    (back,) = drafts_of(printed)
    assert (back.key, back.lines, back.totals, back.covers) == (
        made.documents[0].key,
        made.documents[0].lines,
        made.documents[0].totals,
        made.documents[0].covers,
    )
    known = issued(back)
    assert plan(order, known, a_policy()).documents == ()
    credited = plan(replace(order, refunds=(a_refund("20.00", ("1", "1", "20.00")),)), known, a_policy()).documents
    (note,) = drafts_of({"documents": plan_json(replace(made, documents=credited))["documents"]})
    assert note.references == (replace(credited[0].references[0]),)


@pytest.mark.parametrize("printed", [{}, {"documents": 1}, [{"key": "a/b"}], ["x"]])
def test_what_was_not_printed_by_a_plan_is_refused(printed: Any) -> None:
    with pytest.raises(ReportError):
        drafts_of(printed)


def test_the_ledger_keeps_every_field_and_reads_what_it_kept_before() -> None:
    (draft,) = plan(an_order(), (), a_policy()).documents
    assert load_draft(dump_draft(draft)) == draft
    older = json.loads(dump_draft(draft))
    for field in ("price_mode", "covers"):
        del older[field]
    del older["lines"][0]["why"]
    read = load_draft(json.dumps(older))
    assert (read.covers, read.lines[0].why) == ((), "")


DAY = date(2026, 11, 19)
EVIDENCE = Evidence(
    consultations={
        "ESB58378431": Consultation(
            number="ESB58378431", requester="PT501964843", valid=True, asked_at=PAID_AT, reference="WAPI1", name="M"
        )
    },
    rates={DAY: RateTable(day=DAY, published=DAY, source="BCE", per_euro={"USD": Decimal("1.0856")})},
)


def test_what_registers_said_is_read_back_as_it_was_printed() -> None:
    assert evidence_of(json.loads(json.dumps(evidence_json(EVIDENCE)))) == EVIDENCE
    assert evidence_of({}) == Evidence()


@pytest.mark.parametrize(
    "printed",
    [
        [],
        {"consultations": [{"number": "ES1"}]},
        {"consultations": [{**evidence_json(EVIDENCE)["consultations"][0], "asked_at": "2026-11-20T10:30:00"}]},
        {"consultations": [{**evidence_json(EVIDENCE)["consultations"][0], "surprise": 1}]},
        {"rates": [{"day": "2026-11-19", "source": "BCE", "per_euro": {"USD": "x"}}]},
        {"rates": [{"day": "19.11.2026", "source": "BCE", "per_euro": {}}]},
    ],
)
def test_evidence_of_another_shape_is_refused(printed: Any) -> None:
    with pytest.raises(ReportError):
        evidence_of(printed)


def test_a_document_keeps_its_rate_through_the_ledger_and_through_json() -> None:
    order = replace(an_order(a_line("100.00"), shipping("20.00")), currency="USD")
    (sale,) = plan(order, (), a_policy(), evidence=EVIDENCE).documents
    assert load_draft(dump_draft(sale)) == sale
    (read,) = drafts_of(json.loads(json.dumps(plan_json(plan(order, (), a_policy(), evidence=EVIDENCE)))))
    assert read.exchange == sale.exchange
    back = replace(order, refunds=(a_refund("20.00", ("ship", "1", "20.00")),))
    assert str(plan(back, issued(read), a_policy()).documents[0].totals.gross) == "18.42"


def test_a_draft_of_before_there_were_rates_is_still_read() -> None:
    (sale,) = plan(an_order(), (), a_policy()).documents
    told = json.loads(dump_draft(sale))
    del told["exchange"]
    assert load_draft(json.dumps(told)) == sale


def test_a_plan_names_what_it_needs() -> None:
    made = plan(replace(an_order(), currency="USD"), (), a_policy())
    assert plan_json(made)["needs"] == ["ecb/2026-11-19"]
