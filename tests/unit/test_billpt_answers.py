from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncd.domain.document import (
    Amounts,
    IssuedDocument,
    IssuedLine,
)
from syncd.providers.billpt import answers
from syncd.providers.billpt.answers import IncompleteAnswerError, Lists

MARKER = "syncd:7kq2m9xw4hzt"
TODAY = date(2026, 11, 21)
ANSWER: dict[str, Any] = {
    "id": 3501,
    "estado": "N",
    "terminado": 1,
    "contato_id": 58,
    "invoice_number": "FR WEB/17",
    "invoice_date": "2026-11-20",
    "net_total": "21.26",
    "tax_total": "3.74",
    "gross_total": "25.00",
    "nota_documento": MARKER,
    "token_download": "a93f",
    "contato": {"id": 9058, "nif": 212345672},
    "lancamentos": [
        {
            "id": 7001,
            "item_id": 1490,
            "imposto_id": 13576,
            "motivo_isencao_id": None,
            "net_total": "16.26",
            "tax_total": "3.74",
            "gross_total": "20.00",
            "item": {"codigo": "CAN-1"},
        },
        {
            "id": 7002,
            "item_id": 1491,
            "imposto_id": 0,
            "motivo_isencao_id": 21,
            "net_total": "5.00",
            "tax_total": "0.00",
            "gross_total": "5.00",
        },
    ],
}
LISTS = Lists(rates={"13576": Decimal(23)}, exemptions={"21": "M05"})


def read(**changes: Any) -> IssuedDocument:
    return answers.document_of({**ANSWER, **changes}, LISTS, today=TODAY)


def test_an_answer_is_read_whole() -> None:
    assert read() == IssuedDocument(
        provider_id="3501",
        number="FR WEB/17",
        issued_on=date(2026, 11, 20),
        totals=Amounts(net=Decimal("21.26"), tax=Decimal("3.74"), gross=Decimal("25.00")),
        lines=(
            IssuedLine(
                id="7001",
                article_id="1490",
                code="CAN-1",
                vat_rate=Decimal(23),
                net=Decimal("16.26"),
                tax=Decimal("3.74"),
                gross=Decimal("20.00"),
            ),
            IssuedLine(
                id="7002",
                article_id="1491",
                vat_rate=Decimal(0),
                exemption="M05",
                net=Decimal("5.00"),
                tax=Decimal("0.00"),
                gross=Decimal("5.00"),
            ),
        ),
        customer_id="58",
        marker=MARKER,
        download_token="a93f",
    )


def test_a_draft_has_no_number_and_perhaps_no_date() -> None:
    document = read(terminado=0, invoice_number="", invoice_date=None)
    assert not document.final
    assert (document.number, document.issued_on) == ("", TODAY)


def test_a_receipts_answer_is_short_and_has_numbers_for_amounts() -> None:
    short = {"id": 9, "invoice_number": "RC WEB/1", "terminado": True}
    short |= {"gross_total": Decimal("25.10"), "net_total": 25, "tax_total": 0}
    document = answers.document_of(short, LISTS, today=TODAY)
    assert (document.number, document.totals.gross, document.final) == ("RC WEB/1", Decimal("25.10"), True)
    assert (document.lines, document.issued_on) == ((), TODAY)


@pytest.mark.parametrize(
    ("line", "rate", "exemption"),
    [
        ({"imposto": 23}, Decimal(23), None),
        ({"imposto": "23.00"}, Decimal(23), None),
        ({"imposto": {"id": 1, "valor": 6}}, Decimal(6), None),
        ({"imposto_id": 4711}, None, None),
        ({"imposto_id": None, "motivo_isencao_id": 4711}, Decimal(0), None),
        ({"imposto": 0, "isencao": "M10"}, Decimal(0), "M10"),
        ({}, None, None),
    ],
)
def test_a_lines_rate_is_read_however_it_is_told(
    line: dict[str, Any], rate: Decimal | None, exemption: str | None
) -> None:
    amounts = {"net_total": "1.00", "tax_total": "0.00", "gross_total": "1.00"}
    found = read(lancamentos=[{"id": 1, **amounts, **line}]).lines[0]
    assert (found.vat_rate, found.exemption) == (rate, exemption)


def test_an_annulled_document_is_seen() -> None:
    assert read(estado="A").annulled


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": True},
        {"invoice_number": ""},
        {"gross_total": None},
        {"gross_total": "muito"},
        {"tax_total": 3.74},
        {"lancamentos": [{"id": 1}]},
        {"lancamentos": ["x"]},
    ],
)
def test_a_success_that_does_not_tell_all_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(IncompleteAnswerError):
        read(**changes)


@pytest.mark.parametrize("data", [None, [], "Enviado com sucesso", 7])
def test_an_answer_that_is_no_document_is_none(data: object) -> None:
    with pytest.raises(IncompleteAnswerError):
        answers.document_of(data, LISTS, today=TODAY)


def test_a_marker_is_compared_whole() -> None:
    document = read()
    carried = answers.with_marker(document, ANSWER, frozenset({"syncd:other", MARKER}))
    assert carried is not None
    assert carried.marker == MARKER
    assert answers.with_marker(document, ANSWER, frozenset({MARKER[:-1]})) is None
    remarks = {**ANSWER, "nota_documento": None, "observacoes": f"Encomenda 1001 {MARKER}"}
    assert answers.with_marker(read(nota_documento=None), remarks, frozenset({MARKER})) is not None
    assert answers.with_marker(read(nota_documento=None), remarks, frozenset({"Encomenda 1001"})) is None
