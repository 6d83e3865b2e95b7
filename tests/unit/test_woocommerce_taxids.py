"""Where a tax number may hide, and what is none."""

import pytest

from syncd.shops.taxids import find_tax_id
from tests.woocommerce import an_order, read

NIF = "599999993"


def find(*pairs: tuple[str, str], keys: tuple[str, ...] = (), **texts: str) -> tuple[str, str]:
    return find_tax_id(pairs, texts=texts, keys=keys)


@pytest.mark.parametrize(
    "key",
    [
        "_billing_nif",
        "billing_nif",
        "nif",
        "NIF",
        "NIPC",
        "Nº Contribuinte",
        "Número de contribuinte",
        "_billing_vat",
        "billing_vat",
        "_wc_billing/contribuinte-checkout/billing_vat",
        "_wc_billing/mercearia/nif",
        "_wc_other/mercearia/nif",
        "_billing_vat_number",
        "_vat_number",
        "vat_number",
        "VAT Number",
        "_billing_eu_vat_number",
        "_billing_vat_id",
        "_billing_company_vat",
        "tax_id",
        "campo_nif_do_cliente",
    ],
)
def test_a_number_is_found_under_the_keys_that_plug_ins_use(key: str) -> None:
    assert find(("_stripe_fee", "0.54"), (key, NIF)) == (NIF, key)


def test_the_configured_key_leads_whatever_else_is_there() -> None:
    pairs = (("_billing_nif", NIF), ("_meu_campo", "501964843"))
    assert find(*pairs, keys=("_meu_campo",)) == ("501964843", "_meu_campo")
    assert find(*reversed(pairs)) == (NIF, "_billing_nif")


def test_the_buyer_s_number_goes_before_the_recipient_s_in_any_order() -> None:
    pairs = (("_wc_shipping/mercearia/nif", "501964843"), ("_wc_billing/mercearia/nif", NIF))
    assert find(*pairs) == find(*reversed(pairs)) == (NIF, "_wc_billing/mercearia/nif")


@pytest.mark.parametrize("value", ["PT599999993", "599 999 993", "PT 599.999.993", "ESB12345674", "599999990", "59999"])
def test_what_was_typed_is_handed_on_as_typed_right_or_wrong(value: str) -> None:
    assert find(("_billing_nif", f" {value} ")) == (value, "_billing_nif")


@pytest.mark.parametrize(
    "value", ["", " ", "0", "000000000", "999999990", "PT999999990", "999 999 990", "-", "n/a", "Não"]
)
def test_no_answer_is_none_and_the_search_goes_on(value: str) -> None:
    assert find(("_billing_nif", value)) == ("", "")
    assert find(("_billing_nif", value), ("_vat_number", NIF)) == (NIF, "_vat_number")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("is_vat_exempt", "yes"),
        ("VAT number validated", "true"),
        ("_private_phone", "253000007"),
        ("_nif_telefone", NIF),
        ("_multibanco_ifthen_for_woocommerce_ref", "123456789"),
        ("_wc_other/mercearia/fatura-com-nif", "1"),
    ],
)
def test_a_key_that_only_resembles_one_counts_with_a_valid_number_only(key: str, value: str) -> None:
    assert find((key, value)) == ("", "")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("NIF 599999993", "599999993"),
        ("Olá! O meu nif é: 599 999 993, obrigado", "599 999 993"),
        ("Contribuinte n.º 599.999.993", "599.999.993"),
        ("VAT number PT599999993", "PT599999993"),
        ("VAT: ESB12345674", "ESB12345674"),
        ("NIF 599999993 912345678", "599999993"),
        ("NIF 599999993 2 caixas", "599999993"),
        ("NIF 59999999", "59999999"),
        ("NIF/NIPC: 599999990", "599999990"),  # mistyped, but meant
    ],
)
def test_a_labelled_number_is_found_in_any_text(text: str, number: str) -> None:
    assert find(customer_note=text) == (number, "customer_note")


@pytest.mark.parametrize(
    "text",
    [
        "599999993",  # without a label it may be anything
        "Sem NIF. Tel 912345678",
        "NIF ok, ligar para 912345678",
        "manif 599999993",
        "NIF 999999990",
        "IVA 23% incluído",
        "VAT " + ": " * 5000,
    ],
)
def test_a_note_without_one_holds_none(text: str) -> None:
    assert find(customer_note=text) == ("", "")


@pytest.mark.parametrize(
    ("company", "number"),
    [
        ("Invenções, Lda. 599999993", "599999993"),
        ("PT599999993", "PT599999993"),
        ("599999990", ""),  # no check digit, no proof
        ("999999990", ""),
        ("910000003", ""),  # valid, but mobile numbers look like this
        ("253000007", ""),
        ("+351599999993", ""),
    ],
)
def test_a_company_s_name_may_be_its_number(company: str, number: str) -> None:
    assert find(company=company) == ((number, "company") if number else ("", ""))


def test_the_buyer_s_own_phone_number_is_no_tax_number() -> None:
    assert find(company="Loja 212345672")[0] == "212345672"
    assert find(company="Loja 212345672", phone="+351 212 345 672") == ("", "")


@pytest.mark.parametrize(
    ("name", "number", "source"),
    [
        ("incl-nif-variant-00", "PT599999993", "_billing_nif"),
        ("incl-nif-variant-01", "599 999 993", "_billing_nif"),
        ("incl-nif-variant-02", "599999993", "billing_nif"),
        ("incl-nif-variant-03", "PT 599.999.993", "_billing_vat"),
        ("incl-nif-variant-04", "599999993", "_vat_number"),
        ("incl-nif-variant-05", "ESB12345674", "vat_number"),
        ("incl-nif-variant-06", "599999990", "_billing_nif"),
        ("incl-nif-variant-07", "", ""),
        ("incl-nif-variant-08", "", ""),
        ("incl-nif-variant-09", "599999993", "nif"),
        ("incl-nif-variant-10", "", ""),
        ("incl-single-block-stripe.02", "299999980", "_wc_billing/mercearia/nif"),
    ],
)
def test_captured_orders_give_their_numbers(name: str, number: str, source: str) -> None:
    buyer = read(an_order(name)).buyer
    assert (buyer.tax_id, buyer.tax_id_source) == (number, source)
