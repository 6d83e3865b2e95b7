from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.customer import Customer, CustomerKind
from syncd.domain.document import (
    Amounts,
    DocumentDraft,
    DocumentKey,
    DocumentKind,
    DraftLine,
    IssuedDocument,
    IssuedLine,
    Nature,
    Reference,
)
from syncd.domain.errors import RefusedError
from syncd.providers.billpt import bodies
from syncd.providers.billpt.bodies import Ids
from syncd.providers.billpt.errors import parse
from syncd.providers.http import encode
from syncd.providers.port import Issue

MARKER = "syncd:7kq2m9xw4hzt"
TODAY = date(2026, 11, 21)
RITA = Customer(
    kind=CustomerKind.CONSUMER,
    code="PT212345672",
    name="Rita Lopes",
    tax_id="212345672",
    country="PT",
    street="Rua Nova 5",
    postcode="4000-100",
    city="Porto",
    email="rita@loja.example",
)
NOBODY = Customer(kind=CustomerKind.ANONYMOUS, code="", name="Consumidor final", tax_id="999999990", country="PT")
MUG = DraftLine(
    line_id="1",
    code="CAN-1",
    description="Caneca",
    nature=Nature.GOODS,
    quantity=Decimal(2),
    unit_price=Decimal("8.1300813008"),
    discount=Decimal(0),
    vat_rate=Decimal(23),
    exemption=None,
    net=Decimal("16.26"),
    tax=Decimal("3.74"),
    gross=Decimal("20.00"),
)
SHIPPING = replace(
    MUG,
    line_id="ship",
    code="PORTES",
    description="Portes de envio",
    nature=Nature.SERVICE,
    quantity=Decimal(1),
    unit_price=Decimal("5.00"),
    vat_rate=Decimal(0),
    exemption="M05",
    net=Decimal("5.00"),
    tax=Decimal("0.00"),
    gross=Decimal("5.00"),
)
IDS = Ids(series="12", payment="33", unit="5", taxes={Decimal(23): "13576"})


def draft(*lines: DraftLine, kind: DocumentKind = DocumentKind.FR, **changes: Any) -> DocumentDraft:
    amounts = Amounts(net=Decimal("21.26"), tax=Decimal("3.74"), gross=Decimal("25.00"))
    values: dict[str, Any] = {
        "key": DocumentKey("main", "loja", "1001", kind, "sale"),
        "customer": RITA,
        "lines": lines,
        "taxes": (),
        "totals": amounts,
        "expected_lines": (),
        "expected": amounts,
        "payment": "CC",
        "notes": "Encomenda 1001",
        "due_at": datetime(2026, 11, 20, tzinfo=UTC),
    }
    return DocumentDraft(**(values | changes))


def original(**changes: Any) -> IssuedDocument:
    return replace(
        IssuedDocument(
            provider_id="3501",
            number="FR WEB/17",
            issued_on=TODAY,
            totals=Amounts(net=Decimal("21.26"), tax=Decimal("3.74"), gross=Decimal("25.00")),
            lines=(IssuedLine(id="7001", article_id="1490"), IssuedLine(id="7002", article_id="1491")),
            customer_id="58",
        ),
        **changes,
    )


def correction(*lines: DraftLine, issued: IssuedDocument | None = None, **changes: Any) -> Issue:
    sale = DocumentKey("main", "loja", "1001", DocumentKind.FR, "sale")
    references = (Reference(key=sale, amount=Decimal("10.00")),)
    made = draft(*lines, kind=DocumentKind.NC, references=references, notes="Devolução", **changes)
    return Issue(draft=made, marker=MARKER, originals={sale: issued or original()})


def test_a_sale_to_a_new_customer_of_new_articles_is_one_body() -> None:
    body = bodies.document_body(Issue(draft=draft(MUG, SHIPPING), marker=MARKER), IDS)
    assert encode(body) == (
        b'{"tipificacao":"FR","serie_id":12,"metodo_pagamento_id":33,'
        b'"contato":{"codigo":"PT212345672","nome":"Rita Lopes","nif":"212345672","email":"rita@loja.example",'
        b'"morada":"Rua Nova 5","codigo_postal":"4000-100","cidade":"Porto","pais":"PT"},'
        b'"morada":"Rua Nova 5","codigo_postal":"4000-100","cidade":"Porto","pais":"PT",'
        b'"produtos":[{"nome":"Caneca","quantidade":2,"preco_unitario":8.1300813008,"desconto_1":0,"imposto_id":13576,'
        b'"codigo":"CAN-1","unidade_medida_id":5,"movimenta_stock":0,"servico":0,"ProductCategory":"M"},'
        b'{"nome":"Portes de envio","quantidade":1,"preco_unitario":5.00,"desconto_1":0,"imposto":0,"isencao":"M05",'
        b'"codigo":"PORTES","unidade_medida_id":5,"movimenta_stock":0,"servico":1}],'
        b'"nota_documento":"syncd:7kq2m9xw4hzt","observacoes":"Encomenda 1001","terminado":1}'
    )


def test_what_the_account_knows_goes_by_id() -> None:
    ids = replace(IDS, customer="58", articles={"CAN-1": "1490"})
    body = bodies.document_body(Issue(draft=draft(MUG), marker=MARKER), ids)
    assert body["contato_id"] == 58
    assert "contato" not in body
    assert (body["morada"], body["codigo_postal"], body["cidade"], body["pais"]) == (
        *("Rua Nova 5", "4000-100", "Porto", "PT"),
    )
    assert body["produtos"] == [
        {
            "nome": "Caneca",
            "quantidade": Decimal(2),
            "preco_unitario": Decimal("8.1300813008"),
            "desconto_1": Decimal(0),
            "imposto_id": 13576,
            "item_id": 1490,
        }
    ]


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ({"street": "Rua Velha 1", "postcode": "", "city": ""}, ("Rua Velha 1", "0000-000", "Desconhecido", "PT")),
        ({"street": "", "postcode": "1000-001", "city": "Lisboa"}, ("Desconhecido", "1000-001", "Lisboa", "PT")),
        (
            {"street": "", "postcode": "", "city": "Paris", "country": "FR"},
            ("Desconhecido", "Desconhecido", "Paris", "FR"),
        ),
        ({"street": "", "postcode": "", "city": ""}, (None, None, None, "PT")),
    ],
    ids=["street", "no street", "abroad", "nothing"],
)
@pytest.mark.parametrize("known", ["58", ""], ids=["known by id", "may be known by its number"])
def test_an_address_is_never_filled_up_from_another_orders(
    told: dict[str, Any], sent: tuple[str | None, ...], known: str
) -> None:
    made = draft(MUG, customer=replace(RITA, **told))
    body = bodies.document_body(Issue(draft=made, marker=MARKER), replace(IDS, customer=known))
    assert tuple(body.get(name) for name in ("morada", "codigo_postal", "cidade", "pais")) == sent


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("Ana Sousa", "Encomenda 1001. Cliente na encomenda: Rita Lopes"),
        ("RITA  LOPES", "Encomenda 1001"),
        ("Rita Lopes, Lda.", "Encomenda 1001. Cliente na encomenda: Rita Lopes"),
        ("", "Encomenda 1001"),
    ],
    ids=["another name", "the same in capitals", "a longer name", "not known"],
)
def test_a_customer_whom_the_account_knows_by_another_name_is_named_below(stored: str, said: str) -> None:
    ids = replace(IDS, customer="58", customer_name=stored)
    assert bodies.document_body(Issue(draft=draft(MUG), marker=MARKER), ids)["observacoes"] == said


def test_a_name_that_was_cut_is_no_other_name() -> None:
    cut = replace(RITA, name="Rita Maria", cut=("name cut at 10 characters, in full: Rita Maria Lopes",))
    ids = replace(IDS, customer="58", customer_name="Rita Maria Lopes")
    body = bodies.document_body(Issue(draft=draft(MUG, customer=cut), marker=MARKER), ids)
    assert body["observacoes"] == "Encomenda 1001"


def test_a_long_note_gives_way_to_the_name() -> None:
    ids = replace(IDS, customer="58", customer_name="Ana Sousa")
    said = bodies.document_body(Issue(draft=draft(MUG, notes="Encomenda " * 30), marker=MARKER), ids)["observacoes"]
    assert said.endswith(". Cliente na encomenda: Rita Lopes")
    assert len(said) <= bodies.NOTES_LIMIT


def test_each_of_successive_discounts_has_a_field_of_its_own() -> None:
    line = replace(MUG, discount=Decimal(10), successive=(Decimal(5), Decimal("2.5")))
    (sent,) = bodies.document_body(Issue(draft=draft(line), marker=MARKER), IDS)["produtos"]
    assert [sent[f"desconto_{number}"] for number in (1, 2, 3)] == [Decimal(10), Decimal(5), Decimal("2.5")]


def test_the_final_consumer_is_no_contact_at_all() -> None:
    body = bodies.document_body(Issue(draft=draft(MUG, customer=NOBODY), marker=MARKER), replace(IDS, customer="1"))
    assert not {"contato", "contato_id", "morada", "pais"} & body.keys()


def test_a_named_buyer_without_a_number_sends_none() -> None:
    abroad = replace(RITA, tax_id="999999990", country="DE", code="C-1", postcode="", email="")
    contact = bodies.document_body(Issue(draft=draft(MUG, customer=abroad), marker=MARKER), IDS)["contato"]
    assert not {"nif", "codigo_postal", "email"} & contact.keys()
    assert contact["pais"] == "DE"


def test_a_document_without_payment_and_series_names_neither() -> None:
    ft = draft(MUG, kind=DocumentKind.FT, payment="", notes="")
    body = bodies.document_body(Issue(draft=ft, marker=MARKER), replace(IDS, series="", payment=""))
    assert not {"serie_id", "metodo_pagamento_id", "observacoes", "arredondamento"} & body.keys()


@pytest.mark.parametrize("rounding", ["0.02", "-0.03"])
def test_a_manual_rounding_is_sent_only_where_there_is_one(rounding: str) -> None:
    body = bodies.document_body(Issue(draft=draft(MUG, rounding=Decimal(rounding)), marker=MARKER), IDS)
    assert body["arredondamento"] == Decimal(rounding)


def test_a_draft_and_its_final_form_differ_in_two_fields_only() -> None:
    sale = draft(MUG, SHIPPING)
    as_draft = bodies.document_body(Issue(draft=sale, marker=MARKER, as_draft=True), IDS)
    final = bodies.document_body(Issue(draft=sale, marker=MARKER, finalise="3499"), IDS)
    assert (as_draft.pop("terminado"), final.pop("terminado"), final.pop("id")) == (0, 1, 3499)
    assert as_draft == final


def test_a_credit_note_points_with_every_line_at_the_line_that_it_corrects() -> None:
    second = replace(SHIPPING, original=1)
    issue = correction(replace(MUG, quantity=Decimal("0.5"), original=0), second)
    body = bodies.document_body(issue, replace(IDS, customer="99"))
    assert body["tipificacao"] == "NC"
    assert body["contato_id"] == 58  # the original's, whatever is known now
    assert [(line["lancamento_pai_id"], line["item_id"], line["quantidade"]) for line in body["produtos"]] == [
        (7001, 1490, Decimal("0.5")),
        (7002, 1491, Decimal(1)),
    ]
    assert body["observacoes"] == "Devolução"
    assert body["nota_documento"] == MARKER
    assert "metodo_pagamento_id" in body
    assert "metodo_pagamento_id" not in bodies.document_body(
        correction(replace(MUG, original=0), payment=""), replace(IDS, payment="")
    )


def test_a_credit_note_over_an_original_without_article_ids_sends_the_article() -> None:
    issue = correction(replace(MUG, original=0), issued=original(lines=(IssuedLine(id="7001"),)))
    line = bodies.document_body(issue, IDS)["produtos"][0]
    assert (line["codigo"], line["lancamento_pai_id"]) == ("CAN-1", 7001)


@pytest.mark.parametrize(
    "issue",
    [
        correction(replace(MUG, original=2)),
        correction(MUG),
        correction(replace(MUG, original=0), issued=original(lines=(IssuedLine(id=""),))),
        replace(correction(replace(MUG, original=0)), originals={}),
    ],
    ids=["no such line", "no line named", "line without id", "original unknown"],
)
def test_a_correction_of_nothing_is_refused_before_it_is_sent(issue: Issue) -> None:
    with pytest.raises(RefusedError) as caught:
        bodies.document_body(issue, IDS)
    assert caught.value.code == "billpt.original_unknown"


@pytest.mark.parametrize("notes", ["Encomenda 1001", "palavra " * 40])
def test_a_document_for_the_rest_names_the_deposit_that_it_follows(notes: str) -> None:
    deposit = DocumentKey("main", "loja", "1001", DocumentKind.FR, "deposit-1")
    made = draft(MUG, references=(Reference(key=deposit, amount=Decimal("4.50")),), notes=notes)
    said = bodies.document_body(Issue(draft=made, marker=MARKER, originals={deposit: original()}), IDS)["observacoes"]
    assert said.startswith(notes[:14])
    assert said.endswith(". Deduzido o adiantamento: FR WEB/17 (4.50)")
    assert len(said) <= 200


def receipt(**changes: Any) -> Issue:
    sale = DocumentKey("main", "loja", "1001", DocumentKind.FT, "sale")
    references = (Reference(key=sale, amount=Decimal("25.00")),)
    made = draft(kind=DocumentKind.RC, references=references, **changes)
    return Issue(draft=made, marker=MARKER, originals={sale: original()})


def test_a_receipt_settles_its_invoice_and_carries_its_marker_in_the_remarks() -> None:
    assert encode(bodies.receipt_body(receipt(), replace(IDS, receipt_type="28"))) == (
        b'{"contato_id":58,"tipo_documento_id":28,"serie_id":12,"metodo_pagamento_id":33,'
        b'"documentos":[{"documento_id":3501,"total":25.00}],'
        b'"observacoes":"Encomenda 1001 syncd:7kq2m9xw4hzt"}'
    )


def test_a_receipts_marker_survives_long_remarks() -> None:
    remarks = bodies.receipt_body(receipt(notes="palavra " * 40), IDS)["observacoes"]
    assert len(remarks) <= 200
    assert remarks.endswith(f"palavra {MARKER}")


def test_a_receipt_of_nothing_is_refused() -> None:
    with pytest.raises(RefusedError):
        bodies.receipt_body(replace(receipt(), originals={}), IDS)


def shortened(*codes: str) -> bodies.Body | None:
    body = bodies.document_body(Issue(draft=draft(MUG, notes="Encomenda 1001"), marker=MARKER), IDS)
    return bodies.shortened(body, [parse(code) for code in codes])


def test_texts_that_are_too_long_are_cut_at_a_word_wherever_the_field_stands() -> None:
    cut = shortened("101.morada.8", "101.observacoes.9")
    assert cut is not None
    assert (cut["morada"], cut["contato"]["morada"], cut["observacoes"]) == ("Rua Nova", "Rua Nova", "Encomenda")
    assert cut["nota_documento"] == MARKER


@pytest.mark.parametrize(
    "codes",
    [
        ("101.nota_documento.5",),
        ("101.codigo.5",),
        ("101.nif.5",),
        ("101.morada.8", "206"),
        ("101.morada.100",),
        ("101.morada",),
        ("206",),
        (),
    ],
)
def test_nothing_else_is_cut(codes: tuple[str, ...]) -> None:
    assert shortened(*codes) is None
