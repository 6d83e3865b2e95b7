"""The documented codes: a request, and everything that it is refused for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from syncd.sandbox.billpt import Anonymous, Settings
from tests.contract.sandbox_billpt.conftest import OpenDesk
from tests.contract.sandbox_billpt.desk import COMPANY_NUMBER, Desk

UNLIMITED = Settings(rate_limit=None)
Changes = Callable[[Desk], dict[str, Any]]


def _line(**changes: Any) -> Changes:
    return lambda desk: {"produtos": [desk.line(**changes)]}


def _contact(**changes: Any) -> Changes:
    return lambda desk: {"contato": desk.a_contact(**changes)}


def _header(**changes: Any) -> Changes:
    return lambda _: changes


@dataclass(frozen=True)
class Bad:
    """What is changed in a good document, and the codes that this earns."""

    what: str
    changes: Changes
    codes: list[str]

    def __str__(self) -> str:
        return self.what


DOCUMENTS = [
    Bad("no type", _header(tipificacao=None), ["1.tipificacao"]),
    Bad("unknown type", _header(tipificacao="XX"), ["220"]),
    Bad("type too long", _header(tipificacao="FATURA"), ["101.tipificacao.4"]),
    Bad("receipt as document", _header(tipificacao="RC"), ["258"]),
    Bad("transport document", _header(tipificacao="GT"), ["258"]),
    Bad("no lines", _header(produtos=None), ["1.produtos"]),
    Bad("empty lines", _header(produtos=[]), ["1.produtos"]),
    Bad("final neither 0 nor 1", _header(terminado="yes"), ["5.terminado"]),
    Bad("unknown customer", _header(contato_id=1), ["225"]),
    Bad("customer id not a number", _header(contato_id="abc"), ["7.contato_id"]),
    Bad("unknown series", _header(serie_id=1), ["227"]),
    Bad("series out of use", lambda desk: {"serie_id": desk.series("VELHA")}, ["300"]),
    Bad("series not reported", lambda desk: {"serie_id": desk.series("NOVA")}, ["309"]),
    Bad("unknown means of payment", _header(metodo_pagamento_id=1), ["223"]),
    Bad("unknown shipping", _header(metodo_expedicao_id=1), ["224"]),
    Bad("unknown shop", _header(loja_id=1), ["247"]),
    Bad("unknown state", _header(modulo_estado_id=1), ["263"]),
    Bad("observations too long", _header(observacoes="x" * 201), ["101.observacoes.200"]),
    Bad("unknown language", _header(lingua="de"), ["9.lingua"]),
    Bad("rounding too large", _header(arredondamento=0.04), ["9.arredondamento"]),
    Bad("rounding too small", _header(arredondamento="-0.031"), ["9.arredondamento"]),
    Bad("rounding not a number", _header(arredondamento="abc"), ["10.arredondamento"]),
    Bad("date of another form", _header(data="21/11/2026"), ["9.data"]),
    Bad("date in the future", _header(data="2026-11-22 00:00:00"), ["9.data"]),
    Bad("date in another month", _header(data="2026-10-31 12:00:00"), ["292"]),
    Bad("due before its date", _header(prazo_vencimento="2026-11-20 12:00:00"), ["241"]),
    Bad("currency of another form", _header(moeda="euros"), ["9.moeda"]),
    Bad("foreign currency without rate", _header(moeda="USD_$"), ["1.cambio"]),
    Bad("vehicle too long", _header(viatura="x" * 21), ["101.viatura.20"]),
    Bad("street too long", _header(morada="x" * 101), ["101.morada.100"]),
    Bad("postal code", _header(codigo_postal="4000 100"), ["214"]),
    Bad("sum below zero", lambda desk: _line(preco_unitario=0.01)(desk) | {"arredondamento": -0.03}, ["243"]),
    Bad("anonymous above 1000", lambda desk: _line(preco_unitario=1000)(desk) | {"contato": None}, ["244"]),
    Bad("line without text", _line(nome=None), ["1.nome"]),
    Bad("line text too long", _line(nome="x" * 201), ["101.nome.200"]),
    Bad("line without quantity", _line(quantidade=None), ["1.quantidade"]),
    Bad("quantity zero", _line(quantidade=0), ["9.quantidade"]),
    Bad("quantity not a number", _line(quantidade="dois"), ["10.quantidade"]),
    Bad("line without price", _line(preco_unitario=None), ["1.preco_unitario"]),
    Bad("negative price", _line(preco_unitario=-1), ["9.preco_unitario"]),
    Bad("price zero", _line(preco_unitario=0), ["271"]),
    Bad("price rounds to zero", _line(preco_unitario="0.00000000001"), ["271"]),
    Bad("discount above 100", _line(desconto_1=100.1), ["9.desconto_1"]),
    Bad("neither tax nor exemption", _line(imposto=None), ["270"]),
    Bad("tax zero without exemption", _line(imposto=0), ["270"]),
    Bad("unknown rate", _line(imposto=21), ["229"]),
    Bad("rate with decimals", _line(imposto=25.5), ["229"]),
    Bad("unknown tax id", _line(imposto=None, imposto_id=1), ["229"]),
    Bad("unknown exemption", _line(imposto=0, isencao="M98"), ["274"]),
    Bad("unknown exemption id", _line(imposto=0, motivo_isencao_id=1), ["274"]),
    Bad("exemption gone since 2022", _line(imposto=0, isencao="M08"), ["274"]),
    Bad("tax and exemption", _line(isencao="M05"), ["274"]),
    Bad("unknown article", _line(codigo=None, item_id=1), ["230"]),
    Bad("new article without unit", _line(unidade_medida_id=None), ["1.unidade_medida_id"]),
    Bad("unknown unit", _line(unidade_medida_id=1), ["221"]),
    Bad("article code too long", _line(codigo="x" * 31), ["101.codigo.30"]),
    Bad("article class", _line(ProductCategory="Z"), ["9.ProductCategory"]),
    Bad("service not a flag", _line(servico="sim"), ["5.servico"]),
    Bad("contact without name", _contact(nome=None), ["1.nome"]),
    Bad("contact's name too long", _contact(nome="x" * 31), ["101.nome.30"]),
    Bad("contact's tax number", _contact(nif="123456780"), ["206"]),
    Bad("tax number with ten digits", _contact(nif="9999999990"), ["206"]),
    Bad("contact's e-mail", _contact(email="not an address"), ["2.email"]),
    Bad("contact's postal code", _contact(codigo_postal="4000100"), ["214"]),
    Bad("contact's country too long", _contact(pais="PRT"), ["101.pais.2"]),
    Bad("contact's country too short", _contact(pais="P"), ["100.pais.2"]),
    Bad("contact's country not letters", _contact(pais="12"), ["9.pais"]),
    Bad("contact's town too long", _contact(cidade="x" * 51), ["101.cidade.50"]),
    Bad(
        "several at once",
        lambda desk: {
            "contato": desk.a_contact(nif="1", email="x"),
            "produtos": [desk.line(imposto=21), desk.line(preco_unitario=0)],
            "serie_id": 1,
        },
        ["227", "206", "2.email", "229", "271"],
    ),
    Bad("exempt simplified invoice", lambda desk: {"tipificacao": "FS", **_line(imposto=0, isencao="M10")(desk)}, ["275"]),
    Bad("simplified above 1000", lambda desk: {"tipificacao": "FS", **_line(preco_unitario=814)(desk)}, ["303"]),
    Bad("simplified services", lambda desk: {"tipificacao": "FS", **_line(preco_unitario=82, servico=1)(desk)}, ["304"]),
    Bad(
        "simplified to a company",
        lambda desk: {
            "tipificacao": "FS",
            "contato": desk.a_contact(nif=COMPANY_NUMBER),
            **_line(preco_unitario=82)(desk),
        },
        ["305"],
    ),
    Bad("credit note without reference", _header(tipificacao="NC"), ["266"]),
    Bad("debit note without reference", _header(tipificacao="ND"), ["266"]),
    Bad("unknown original line", lambda desk: {"tipificacao": "NC", **_line(lancamento_pai_id=1)(desk)}, ["266"]),
]  # fmt: skip


@pytest.mark.parametrize("bad", DOCUMENTS, ids=str)
async def test_a_document_is_refused_with_its_codes_and_leaves_nothing(bad: Bad, desk: Desk) -> None:
    answer = await desk.issue(**bad.changes(desk))
    assert answer.codes == bad.codes
    assert answer.status == (403 if "258" in bad.codes else 400)
    account = desk.sandbox.account
    assert (len(account.books.all), len(account.items), len(account.contacts)) == (0, 0, 1)


async def test_a_country_left_out_is_a_raw_server_fault(desk: Desk) -> None:
    for answer in (
        await desk.issue(contato=desk.a_contact(pais=None)),
        await desk.post("contatos", {"nome": "Cliente", "nif": "1"}),
    ):
        assert (answer.status, answer.codes) == (500, ["Undefined index: pais"])


async def test_dates_of_a_series_never_go_back(desk: Desk) -> None:
    await desk.issued()
    desk.time.turn(timedelta(days=2))
    await desk.issued()
    yesterday = {"data": "2026-11-22 12:00:00"}
    answer = await desk.issue(**yesterday)
    assert answer.codes == ["102.data.2026-11-23"]
    assert (await desk.issue(**yesterday, tipificacao="FT")).codes == []
    assert (await desk.issue(**yesterday, serie_id=desk.series("IVA2026"))).codes == []
    assert (await desk.issue(**yesterday, terminado=0)).codes == []


async def test_dates_may_be_refused_with_the_other_code(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, later_date_code="242"))
    await desk.issued()
    assert (await desk.issue(data="2026-11-20 12:00:00")).codes == ["242.2026-11-21"]


async def test_exports_may_be_invoiced_until_the_fifteenth(desk: Desk) -> None:
    desk.time.turn(timedelta(days=24))  # 15 December
    export = {"produtos": [desk.line(imposto=0, isencao="M05")], "data": "2026-11-30 12:00:00"}
    assert (await desk.issue(data="2026-11-30 12:00:00")).codes == ["292"]
    assert (await desk.issue(**export)).codes == []
    desk.time.turn(timedelta(days=1))
    assert (await desk.issue(**export)).codes == ["292"]


async def test_a_seller_who_is_no_retailer_has_the_lower_limit_without_tax(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, retailer=False))
    sold = {"tipificacao": "FS"}
    assert (await desk.issue(**sold, produtos=[desk.line(preco_unitario=100)])).codes == []
    assert (await desk.issue(**sold, produtos=[desk.line(preco_unitario="100.01")])).codes == ["302"]


async def test_a_simplified_invoice_reaches_its_limit(desk: Desk) -> None:
    assert (await desk.issue(tipificacao="FS", produtos=[desk.line(preco_unitario="813")])).codes == []


async def test_above_the_limit_a_tax_number_may_be_asked_for(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, anonymous_by=Anonymous.TAX_NUMBER))
    named = desk.a_contact(nif=None, morada="Rua Nova 5")
    assert (await desk.issue(contato=named, produtos=[desk.line(preco_unitario=1000)])).codes == ["244"]


@pytest.mark.parametrize(
    "change",
    [
        {"preco_unitario": "10.01"},
        {"quantidade": "2.01"},
        {"imposto_id": None, "imposto": 6},
        {"desconto_1": 0},
    ],
    ids=str,
)
async def test_a_credit_note_never_exceeds_or_contradicts_its_original(change: dict[str, Any], desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=2, desconto_1=5)])
    assert (await desk.credit(original, desk.credit_line(original, **{"desconto_1": 5, **change}))).codes == ["209"]


async def test_a_credit_note_keeps_customer_and_article(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(), desk.line(codigo="B")])
    other = original["lancamentos"][1]["item_id"]
    assert (await desk.credit(original, desk.credit_line(original, item_id=other))).codes == ["209"]
    to_nobody = {"tipificacao": "NC", "contato": None, "produtos": [desk.credit_line(original)]}
    assert (await desk.issue(**to_nobody)).codes == ["209"]


async def test_a_credit_note_may_take_off_a_part_of_the_price(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=2)])
    made = (await desk.credit(original, desk.credit_line(original, quantidade=1, preco_unitario="4.0650406504"))).made
    assert made["gross_total"] == "5.01"


async def test_one_line_cannot_be_credited_twice_in_one_document(desk: Desk) -> None:
    original = await desk.issued()
    assert (await desk.credit(original, desk.credit_line(original), desk.credit_line(original))).codes == ["209"]


async def test_drafts_and_annulled_documents_are_not_credited(desk: Desk) -> None:
    draft, annulled = await desk.issued(terminado=0), await desk.issued()
    await desk.cancel(annulled)
    assert (await desk.credit(draft)).codes == ["272"]
    assert (await desk.credit(annulled)).codes == ["209"]


async def test_a_debit_note_may_be_dearer_than_its_original(desk: Desk) -> None:
    original = await desk.issued()
    line = desk.credit_line(original, preco_unitario=20)
    note = {"tipificacao": "ND", "contato": None, "contato_id": original["contato_id"], "produtos": [line]}
    assert (await desk.issued(**note))["invoice_number"] == "ND B2026/1"
    assert (await desk.cancel(original)).codes == ["246"]


async def test_what_belongs_to_another_account_is_foreign(desk: Desk) -> None:
    other = desk.sandbox.open_account("other")
    theirs = desk.a_document(produtos=[desk.line(unidade_medida_id=other.units.principal()["id"])])
    made = (await desk.call("POST", "documentos", theirs, token=other.token)).made
    foreign_item = made["lancamentos"][0]["item_id"]
    assert (await desk.issue(contato_id=made["contato_id"])).codes == ["217"]
    assert (await desk.issue(produtos=[desk.line(codigo=None, item_id=foreign_item)])).codes == ["218"]
    assert (await desk.issue(serie_id=other.series.principal()["id"])).codes == ["307"]
    assert (await desk.get(f"documentos/{made['id']}")).status == 404
    ours = {row["id"] for row in (await desk.get("impostos")).made}
    assert ours.isdisjoint(row["id"] for row in other.taxes)


@pytest.mark.parametrize(
    ("method", "path", "json", "status", "codes"),
    [
        ("POST", "contatos", {"pais": "PT"}, 400, ["1.nome"]),
        ("POST", "contatos", {"nome": "A", "pais": "PT", "prazo_vencimento": "x"}, 400, ["7.prazo_vencimento"]),
        ("POST", "contatos", {"nome": "A", "pais": "PT", "desconto_padrao": 101}, 400, ["9.desconto_padrao"]),
        ("POST", "contatos", {"nome": "A", "pais": "PT", "retencao": 2}, 400, ["5.retencao"]),
        ("POST", "contatos", {"nome": "A", "pais": "PT", "metodo_pagamento_id": 1}, 400, ["223"]),
        ("POST", "contatos", {"nome": "A", "pais": "PT", "metodo_expedicao_id": 1}, 400, ["224"]),
        ("POST", "contatos", {"nome": ["A"], "pais": "PT"}, 400, ["9.nome"]),
        ("GET", "contatos/1", None, 404, ["225"]),
        ("PATCH", "contatos/1", {"nome": "B"}, 404, ["225"]),
        ("POST", "items", {}, 400, ["1.descricao", "1.imposto_id", "1.iva_compra", "1.unidade_medida_id"]),
        ("GET", "items/1", None, 404, ["230"]),
        ("POST", "impostos", {"nome": "DE", "valor": 25.5}, 400, ["7.valor"]),
        ("POST", "impostos", {"nome": "DE", "valor": 101}, 400, ["9.valor"]),
        ("POST", "series", {"nome": "B2026"}, 400, ["226"]),
        ("POST", "series", {"nome": "B/2026"}, 400, ["306"]),
        ("POST", "unidades-medida", {"nome": "Par", "simbolo": "x" * 16}, 400, ["101.simbolo.15"]),
        ("PATCH", "unidades-medida/1", {"nome": "Par"}, 404, ["221"]),
        ("GET", "documentos/1", None, 404, ["209"]),
        ("DELETE", "documentos/1", None, 404, ["209"]),
        ("PATCH", "documentos", {}, 400, ["1.documento_id", "1.motivo_anular"]),
        ("PATCH", "documentos", {"documento_id": 1, "motivo_anular": "x" * 201}, 400, ["101.motivo_anular.200"]),
        ("PATCH", "documentos", {"documento_id": 1, "motivo_anular": "x"}, 404, ["209"]),
        ("POST", "documentos/enviar-por-email", {"id": 1, "email": "x"}, 400, ["2.email"]),
        ("POST", "documentos/nota-documento", {"id": 1}, 400, ["1.nota_documento"]),
        ("POST", "recibos", {}, 400, ["1.contato_id", "1.tipo_documento_id", "1.documentos"]),
        ("POST", "recibos/pagar/1", {}, 404, ["209"]),
        ("GET", "movimentos-pendentes", None, 400, ["1.contato_id"]),
        ("GET", "movimentos-pendentes/multiplos", None, 400, ["1.documentos"]),
        ("GET", "stock/singular", None, 400, ["1.item_id", "1.loja_id"]),
        ("POST", "auth/login", {"email": "x"}, 400, ["2.email", "1.password"]),
        ("POST", "auth/login", {"email": "api@loja.example", "password": "wrong"}, 401, ["200"]),
        ("POST", "at/teste-dados-at", {}, 400, ["250"]),
        ("GET", "nothing-here", None, 404, ["Not Found"]),
        ("PUT", "documentos", {}, 404, ["Not Found"]),
    ],
    ids=str,
)
async def test_other_calls_are_refused_with_their_codes(
    method: str, path: str, json: Any, status: int, codes: list[str], desk: Desk
) -> None:
    answer = await desk.call(method, path, json)
    assert (answer.status, answer.codes) == (status, codes)


async def test_a_draft_is_neither_mailed_nor_cancelled_nor_paid(desk: Desk) -> None:
    draft = await desk.issued(terminado=0, tipificacao="FT")
    assert (await desk.post("documentos/enviar-por-email", {"id": draft["id"], "email": "a@b.example"})).codes == [
        "272"
    ]
    assert (await desk.cancel(draft)).codes == ["272"]
    assert (await desk.post(f"recibos/pagar/{draft['id']}", {})).codes == ["272"]


async def test_a_final_document_is_not_edited(desk: Desk) -> None:
    made = await desk.issued()
    assert (await desk.issue(id=made["id"])).codes == ["235"]


async def test_records_in_use_are_not_deleted(desk: Desk) -> None:
    made = await desk.issued()
    assert (await desk.call("DELETE", f"contatos/{made['contato_id']}")).codes == ["222"]
    assert (await desk.call("DELETE", f"items/{made['lancamentos'][0]['item_id']}")).codes == ["222"]
    assert (await desk.call("DELETE", f"series/{made['serie_id']}")).codes == ["222"]


async def test_an_error_may_come_with_any_status(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, error_status=200))
    answer = await desk.issue(produtos=None)
    assert (answer.status, answer.codes) == (200, ["1.produtos"])
