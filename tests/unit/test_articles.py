"""The same thing always gets the same code, and never one that a service refuses."""

import pytest

from syncd.domain.order import LineKind
from syncd.mapping.articles import article_code, description
from tests.builders import ABLE, a_line, a_policy


@pytest.mark.parametrize("key", ["CAN-1", "cerâmica", "reduced-rate"])
def test_the_merchants_code_goes_before_all_others(key: str) -> None:
    line = a_line(product_type="cerâmica", tax_class="reduced-rate")
    assert article_code(line, a_policy(articles={key: "CANECA"})) == ("CANECA", "map")


def test_the_sku_goes_before_type_and_class() -> None:
    line = a_line(product_type="cerâmica", tax_class="reduced-rate")
    assert article_code(line, a_policy(articles={"cerâmica": "TIPO", "CAN-1": "PECA"})) == ("PECA", "map")


def test_without_an_entry_the_sku_is_the_code() -> None:
    assert article_code(a_line(sku=" CAN-1 "), a_policy()) == ("CAN-1", "sku")


def test_without_a_sku_the_name_makes_a_code_that_stays() -> None:
    code, source = article_code(a_line(sku="", name="Caneca  azul"), a_policy())
    assert source == "name"
    assert article_code(a_line(sku="", name="Caneca azul", id="9"), a_policy())[0] == code
    assert article_code(a_line(sku="", name="Caneca verde"), a_policy())[0] != code


@pytest.mark.parametrize("sku", ["Caneca/azul", "Ção 1", "X" * 90, "😀"])
def test_a_code_is_within_the_services_limits_and_different_skus_stay_different(sku: str) -> None:
    code, _ = article_code(a_line(sku=sku), a_policy())
    assert 0 < len(code) <= ABLE.limits.article_code
    assert code.isascii()
    assert article_code(a_line(sku=sku + "x"), a_policy())[0] != code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (LineKind.SHIPPING, "PORTES"),
        (LineKind.FEE, "TAXA"),
        (LineKind.TIP, "GORJETA"),
        (LineKind.GIFT_CARD, "VALE"),
    ],
)
def test_what_is_no_article_has_the_code_of_its_kind(kind: LineKind, code: str) -> None:
    assert article_code(a_line(kind=kind, sku=""), a_policy()) == (code, "kind")


def test_a_line_without_a_name_shows_its_code() -> None:
    assert description(a_line(name="\u200b \n"), a_policy()) == "CAN-1"


def test_a_long_name_is_cut_at_a_word() -> None:
    assert description(a_line(name="palavra " * 60), a_policy()).endswith("palavra")
