"""Whom a document names."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.customer import Customer, CustomerKind
from syncd.domain.order import Order
from syncd.mapping.customers import valid_nif
from syncd.mapping.planner import plan
from tests.builders import LISBON_BUYER, a_line, a_policy, an_order

ADDRESS = LISBON_BUYER.billing


def order_of(gross: str = "12.30", *, tax_id: str = "", rate: str | None = "23", **address: Any) -> Order:
    buyer = replace(LISBON_BUYER, tax_id=tax_id, billing=replace(ADDRESS, **address))
    return an_order(a_line(gross, rate=rate), buyer=buyer)


def customer(order: Order, *accepted: str, **policy: Any) -> Customer:
    made = plan(order, (), a_policy(**policy), frozenset(accepted))
    assert not made.holds, made.holds
    return made.documents[0].customer


def hold(order: Order) -> str:
    made = plan(order, (), a_policy())
    assert made.documents == ()
    return made.holds[0].code


@pytest.mark.parametrize(
    "number",
    ["501964843", "500000000", "500000050", "123456789", "212345672", "451234561", "980123453", "999999990"],
)
def test_right_check_digits(number: str) -> None:
    assert valid_nif(number)


@pytest.mark.parametrize("number", ["501964842", "12345678", "0123456789", "9999999990", "50196484x", ""])
def test_wrong_check_digits(number: str) -> None:
    assert not valid_nif(number)


@pytest.mark.parametrize("typed", ["501964843", "PT501964843", " 501 964 843 ", "pt-501.964.843"])
def test_a_number_is_known_however_it_was_typed(typed: str) -> None:
    found = customer(order_of(tax_id=typed, company="Loja, Lda."))
    assert (found.kind, found.tax_id, found.code) == (CustomerKind.COMPANY, "501964843", "PT501964843")


@pytest.mark.parametrize("typed", ["", "999999990", "PT999999990", "000000000", "0"])
def test_no_number_is_the_final_consumer(typed: str) -> None:
    found = customer(order_of(tax_id=typed))
    assert (found.kind, found.tax_id, found.name, found.code) == (
        CustomerKind.ANONYMOUS,
        "999999990",
        "Consumidor final",
        "",
    )


def test_a_mistyped_number_is_held_and_released_to_the_final_consumer() -> None:
    order = order_of(tax_id="501964842")
    assert hold(order) == "invalid_nif"
    assert customer(order, "invalid_nif").tax_id == "999999990"
    assert customer(order, hold_invalid_nif=False).tax_id == "999999990"


def test_a_persons_number_names_the_person() -> None:
    found = customer(order_of(tax_id="212345672"))
    assert (found.kind, found.name) == (CustomerKind.CONSUMER, "Rita Lopes")


@pytest.mark.parametrize(("gross", "named"), [("999.99", False), ("1000.00", True)])
def test_from_a_thousand_on_the_consumer_is_named(gross: str, named: bool) -> None:
    found = customer(order_of(gross))
    assert (found.name == "Rita Lopes", found.tax_id) == (named, "999999990")
    assert (found.street == "Rua Nova 5") is named


def test_from_a_thousand_on_an_address_is_needed() -> None:
    order = order_of("1000.00", street="")
    assert hold(order) == "customer_incomplete"
    assert customer(order, "customer_incomplete").kind is CustomerKind.ANONYMOUS


@pytest.mark.parametrize("name", ["", "-", "Teste", "  x "])
def test_a_company_without_a_name_is_held(name: str) -> None:
    buyer = replace(LISBON_BUYER, name=name, tax_id="501964843", billing=replace(ADDRESS, name=name))
    assert hold(an_order(buyer=buyer)) == "customer_incomplete"


@pytest.mark.parametrize(
    ("country", "typed", "number"),
    [
        ("DE", "136695976", "DE136695976"),
        ("GR", "094259216", "EL094259216"),
        ("ES", "ES B58378431", "ESB58378431"),
        ("US", "12-3456789", "123456789"),
        ("ES", "501964843", "501964843"),  # a Portuguese number of a buyer who lives in Spain
    ],
)
def test_foreign_numbers_carry_their_prefix(country: str, typed: str, number: str) -> None:
    rate = None if country == "US" else "23"
    assert customer(order_of(country=country, tax_id=typed, rate=rate, postcode="10115")).tax_id == number


def test_a_strange_number_of_a_taxed_consumer_abroad_matters_to_nobody() -> None:
    assert customer(order_of(country="DE", tax_id="DE1", postcode="10115")).tax_id == "999999990"


def test_a_foreign_consumer_keeps_name_and_country() -> None:
    found = customer(order_of(country="FR", postcode="75001"))
    assert (found.name, found.country, found.tax_id) == ("Rita Lopes", "FR", "999999990")
    assert found.code.startswith("C-")


def test_the_same_buyer_always_has_the_same_code() -> None:
    first, again = order_of(country="FR"), order_of(country="FR", street="Rue Neuve 7")
    assert customer(first).code == customer(again).code
    other = replace(first, buyer=replace(first.buyer, email="outra@loja.example"))
    assert customer(other).code != customer(first).code


NUMBER = {"tax_id": "212345672"}
ABROAD = {"country": "FR", "postcode": "75001"}


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({**NUMBER, "name": "Rita Lopes"}, {**NUMBER, "tax_id": "PT 212.345.672", "name": "Rita M. Lopes"}),
        ({**NUMBER, "email": "rita@loja.example"}, {**NUMBER, "email": "outra@loja.example", "country": "ES"}),
        ({**ABROAD, "tax_id": "fr40303265045"}, {**ABROAD, "tax_id": "40 303 265 045"}),
        ({**ABROAD, "name": "Rita Lopes"}, {**ABROAD, "name": " RITA  lopes "}),
        ({**ABROAD, "name": "José Conceição"}, {**ABROAD, "name": "JOSE CONCEICAO"}),
        ({**ABROAD, "name": "Jose\u0301"}, {**ABROAD, "name": "Jos\u00e9"}),
        ({**ABROAD, "email": "Rita@Loja.example "}, {**ABROAD, "email": "rita@loja.example"}),
        ({**ABROAD, "street": "Rue Neuve 7"}, {**ABROAD, "street": "Quai 9"}),
        ({**ABROAD, "email": "", "street": "Rue  Neuve 7"}, {**ABROAD, "email": " ", "street": "rue neuve 7"}),
    ],
    ids=str,
)
def test_a_buyer_is_known_by_tax_number_else_by_e_mail_and_name_however_written(
    first: dict[str, Any], again: dict[str, Any]
) -> None:
    assert customer(bought_by(**first)).code == customer(bought_by(**again)).code != ""


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({**NUMBER}, {"tax_id": "508225280"}),
        ({**NUMBER}, {**ABROAD}),
        ({**ABROAD, "name": "Rita Lopes"}, {**ABROAD, "name": "Rui Lopes"}),
        ({**ABROAD, "email": "rita@loja.example"}, {**ABROAD, "email": "rui@loja.example"}),
        ({**ABROAD}, {"country": "DE", "postcode": "10115"}),
        ({**ABROAD, "email": "", "street": "Rue Neuve 7"}, {**ABROAD, "email": "", "street": "Rue Neuve 9"}),
        ({**ABROAD, "email": ""}, {**ABROAD}),
    ],
    ids=str,
)
def test_buyers_who_differ_in_what_they_are_known_by_are_two(first: dict[str, Any], other: dict[str, Any]) -> None:
    assert customer(bought_by(**first)).code != customer(bought_by(**other)).code


def bought_by(*, name: str = "Rita Lopes", email: str = "rita@loja.example", **changes: Any) -> Order:
    order = order_of(name=name, **changes)
    return replace(order, buyer=replace(order.buyer, email=email))


@pytest.mark.parametrize(
    ("typed", "printed"), [("1000001", "1000-001"), ("9000 060", "9000-060"), ("1000", "1000"), ("abc", "")]
)
def test_portuguese_postcodes_are_printed_as_services_take_them(typed: str, printed: str) -> None:
    assert customer(order_of("1000.00", postcode=typed)).postcode == printed


def test_long_names_are_cut_at_a_word() -> None:
    found = customer(order_of(tax_id="501964843", company="Companhia " * 30))
    assert len(found.name) <= 150
    assert found.name.endswith("Companhia")
    assert found.cut == (f"name cut at 150 characters, in full: {' '.join(['Companhia'] * 30)}",)


def test_what_fits_is_not_said_to_be_cut() -> None:
    assert customer(order_of(tax_id="501964843", company="Companhia")).cut == ()
