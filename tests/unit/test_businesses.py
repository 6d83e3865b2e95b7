"""A sale without VAT to a company in another member state: what VIES said of it, and when."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from syncd.domain.order import Address, Buyer, Order
from syncd.domain.registers import Confirmation, Consultation, Evidence
from syncd.mapping.planner import Plan, plan
from tests.builders import PAID_AT, a_line, a_policy, an_order, issued

NUMBER, SELLER = "DE136695976", "PT501964843"
POLICY = a_policy(seller_nif="501964843")
HAMBURG = Address(
    name="Erika Muster", company="Beispiel GmbH", street="Allee 8", postcode="20095", city="Hamburg", country="DE"
)


def a_sale(tax_id: str = NUMBER) -> Order:
    return an_order(
        a_line("100.00", rate=None), buyer=Buyer(tax_id=tax_id, billing=HAMBURG, shipping=HAMBURG, tax_exempt=True)
    )


def a_consultation(*, valid: bool = True, asked_at: datetime = PAID_AT, requester: str = SELLER) -> Evidence:
    made = Consultation(number=NUMBER, requester=requester, valid=valid, asked_at=asked_at, reference="WAPI1")
    return Evidence(consultations={NUMBER: made})


def code(made: Plan) -> str:
    assert not made.documents
    return made.holds[0].code


def test_what_vies_has_not_said_is_needed() -> None:
    made = plan(a_sale(), (), POLICY)
    assert made.needs == (Confirmation(number=NUMBER, requester=SELLER, sold_at=PAID_AT),)
    assert code(made) == "vies_unconfirmed"


def test_without_the_sellers_own_number_there_is_no_proof_to_be_had_so_nobody_is_asked() -> None:
    made = plan(a_sale(), (), a_policy())
    assert made.needs == ()
    assert code(made) == "vies_unconfirmed"
    assert "fiscal.nif" in made.holds[0].fix


def test_a_confirmed_number_makes_the_sale_exempt() -> None:
    (draft,) = plan(a_sale(), (), POLICY, evidence=a_consultation()).documents
    assert (draft.lines[0].exemption, draft.customer.tax_id, str(draft.totals.gross)) == ("M16", NUMBER, "100.00")


@pytest.mark.parametrize(
    ("valid", "hours", "expected"),
    [
        (True, -25, "vies_unconfirmed"),  # of another day: asked again
        (True, -23, ""),
        (True, 24 * 9, ""),
        (True, 24 * 11, "vies_unconfirmed"),  # says nothing of the day of the sale
        (False, -1, "vies_unconfirmed"),  # it may have come into force meanwhile
        (False, 1, "vies_invalid"),
    ],
)
def test_an_answer_counts_by_its_distance_from_the_sale(valid: bool, hours: int, expected: str) -> None:
    made = plan(a_sale(), (), POLICY, evidence=a_consultation(valid=valid, asked_at=PAID_AT + timedelta(hours=hours)))
    assert [hold.code for hold in made.holds] == ([expected] if expected else [])
    assert bool(made.needs) is (expected == "vies_unconfirmed" and hours < 0)


def test_what_another_seller_was_told_is_not_our_proof() -> None:
    assert plan(a_sale(), (), POLICY, evidence=a_consultation(requester="PT500000000")).needs


@pytest.mark.parametrize("tax_id", ["501964843", "PT501964843", "DE136695977", "none"])
def test_what_cannot_be_a_number_of_another_member_state_is_held_and_nobody_is_asked(tax_id: str) -> None:
    made = plan(a_sale(tax_id), (), POLICY)
    assert code(made) == "vies_invalid"
    assert made.needs == ()


@pytest.mark.parametrize("accepted", ["vies_unconfirmed", "vies_invalid"])
def test_a_person_can_answer_for_the_number(accepted: str) -> None:
    (draft,) = plan(a_sale(), (), POLICY, frozenset({accepted})).documents
    assert draft.lines[0].exemption == "M16"


def test_a_greek_number_is_asked_for_by_its_own_prefix() -> None:
    athens = replace(HAMBURG, country="GR", postcode="105 57")
    order = replace(a_sale(), buyer=Buyer(tax_id="094259216", billing=athens, shipping=athens))
    (need,) = plan(order, (), POLICY).needs
    assert need.key == f"vies/{SELLER}/EL094259216"


def test_what_was_issued_needs_no_confirmation_again() -> None:
    made = plan(a_sale(), (), POLICY, evidence=a_consultation())
    assert plan(a_sale(), issued(*made.documents), POLICY) == Plan(
        reason="everything due has been issued or is on its way"
    )
