"""Login, fixed lists, customers and articles."""

from dataclasses import replace

import pytest

from syncd.sandbox.billpt import BillPt, Settings
from tests.contract.sandbox_billpt.conftest import OpenDesk
from tests.contract.sandbox_billpt.desk import COMPANY_NUMBER, PERSON_NUMBER, Desk

UNLIMITED = Settings(rate_limit=None)


async def test_the_token_goes_in_the_header_the_query_or_the_body(desk: Desk) -> None:
    url, token = f"{desk.serving.url}/api/1.0/valid-token", desk.sandbox.token
    assert len(token) == 128
    for sent in (
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"params": {"api_token": token}},
        {"json": {"api_token": token, "method": "POST"}},
        {"data": {"api_token": token}},
    ):
        async with desk.http.post(url, **sent) as response:  # type: ignore[arg-type]  # one of several keywords
            assert response.status == 200


@pytest.mark.parametrize(("headers", "code"), [({}, "202"), ({"Authorization": "Bearer wrong"}, "208")], ids=str)
async def test_without_a_good_token_nothing_is_done(headers: dict[str, str], code: str, desk: Desk) -> None:
    url = f"{desk.serving.url}/api/1.0/documentos"
    async with desk.http.post(url, json=desk.a_document(), headers=headers) as response:
        assert response.status == 401
        assert await response.json() == {"error": [code]}
        assert "X-RateLimit-Remaining" in response.headers
    assert desk.sandbox.account.books.all == {}


async def test_logging_in_gives_the_token(desk: Desk) -> None:
    known = desk.sandbox.settings
    sent = {"email": known.login_email, "password": known.login_password}
    made = (await desk.post("auth/login", sent)).made
    assert made["api_token"] == desk.sandbox.token


def test_a_token_belongs_to_its_seed_and_ids_to_their_account() -> None:
    assert BillPt(seed="a").token == BillPt(seed="a").token != BillPt(seed="b").token
    first, second = BillPt(seed="a").account, BillPt(seed="b").account
    assert [row["id"] for row in first.payments] != [row["id"] for row in second.payments]
    assert [row["simbolo"] for row in first.payments] != [row["simbolo"] for row in second.payments]


async def test_the_fixed_lists_are_there(desk: Desk) -> None:
    types = (await desk.get("tipos-documento")).made
    assert {row["tipificacao"]: row["id"] for row in types}.items() >= {
        "FT": 1,
        "FS": 2,
        "FR": 3,
        "NC": 5,
        "RC": 28,
    }.items()
    assert {row["categoria"] for row in (await desk.get("tipos-documento/guias")).made} == {"guias"}
    payments = {row["simbolo"] for row in (await desk.get("metodos-pagamento")).made}
    assert payments == {"TB", "MB", "CC", "CD", "CH", "CO", "CS", "DE", "LC", "NU", "PR", "TR"}
    assert [row["valor"] for row in (await desk.get("impostos")).made] == [23, 13, 6, 22, 12, 4, 16, 9, 4]
    exemptions = {row["codigo"] for row in (await desk.get("motivos-isencao")).made}
    assert exemptions >= {"M01", "M05", "M10", "M16", "M35", "M40", "M46", "M99"}
    assert len(exemptions) == 32
    series = {row["nome"]: row for row in (await desk.get("series")).made}
    assert (series["B2026"]["principal"], series["IVA2026"]["iva_incluido"]) == (1, 1)
    assert "comunicada" not in series["NOVA"]
    for name in ("unidades-medida", "lojas", "metodos-expedicao", "tipos", "estados"):
        assert (await desk.get(name)).made


async def test_the_vendors_old_tax_list_can_be_had(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, old_taxes=True))
    assert [row["valor"] for row in (await desk.get("impostos")).made] == [23, 13, 6, 22, 12, 5, 18, 9, 4]


async def test_a_new_tax_and_a_new_series_can_be_used(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, new_series_reported=True))
    tax = (await desk.post("impostos", {"nome": "Alemanha", "valor": 19})).made
    series = (await desk.post("series", {"nome": "OSS2026", "iva_incluido": 1})).made
    made = await desk.issued(serie_id=series["id"], produtos=[desk.line(imposto=None, imposto_id=tax["id"])])
    assert (made["invoice_number"], made["gross_total"]) == ("FR OSS2026/1", "10.00")
    changed = (await desk.call("PATCH", f"series/{series['id']}", {"visivel": 0})).made
    assert changed["visivel"] == 0
    assert (await desk.issue(serie_id=series["id"])).codes == ["300"]


async def test_a_new_series_is_not_yet_reported(desk: Desk) -> None:
    series = (await desk.post("series", {"nome": "N2027"})).made
    assert (await desk.issue(serie_id=series["id"])).codes == ["309"]


async def test_customers_are_created_found_and_changed(desk: Desk) -> None:
    sent = desk.a_contact(email="cliente@loja.example", codigo_postal="4000-100", telefone_contato="220000000")
    made = (await desk.post("contatos", sent)).made
    assert (made["codigo"], made["nif"], made["telefone_contacto"]) == ("WC-1", int(PERSON_NUMBER), "220000000")
    assert made["tipo"][0]["pivot"]["contato_id"] == made["id"]
    for query in (
        {"pesquisa[codigo]": "wc-1"},
        {"pesquisa[texto][codigo]": "C-1"},
        {"pesquisa[nif]": PERSON_NUMBER},
        {"pesquisa[texto][nif]": "1234"},
        {"pesquisa[email]": "cliente@loja.example"},
    ):
        found = (await desk.search("contatos", query)).made
        assert [row["id"] for row in found["data"]] == [made["id"]]
    changed = (await desk.call("PATCH", f"contatos/{made['id']}", {"codigo": "WC-2", "cidade": "Porto"})).made
    assert (changed["codigo"], changed["cidade"]) == ("WC-2", "Porto")
    assert (await desk.search("contatos", {"pesquisa[codigo]": "WC-1"})).made["total"] == 0
    assert (await desk.get(f"contatos/{made['id']}")).made["originario"] == []
    assert (await desk.call("DELETE", f"contatos/{made['id']}")).status == 204


async def test_a_search_may_come_as_a_json_body(desk: Desk) -> None:
    await desk.post("contatos", desk.a_contact())
    found = (await desk.call("GET", "contatos", {"pesquisa": {"texto": {"codigo": "WC"}}, "method": "GET"})).made
    assert found["total"] == 1


async def test_a_customer_may_come_in_the_query_string(desk: Desk) -> None:
    made = (await desk.call("POST", "contatos", nome="Cliente", pais="PT", codigo="Q")).made
    assert made["codigo"] == "Q"


async def test_an_unknown_filter_finds_everybody_or_is_refused(desk: Desk, open_desk: OpenDesk) -> None:
    await desk.post("contatos", desk.a_contact())
    assert (await desk.search("contatos", {"pesquisa[telemovel]": "1"})).made["total"] == 2
    strict = await open_desk(replace(UNLIMITED, filters_known_only=True))
    assert (await strict.search("contatos", {"pesquisa[telemovel]": "1"})).codes == ["9.telemovel"]


async def test_codes_and_tax_numbers_are_taken_once(desk: Desk) -> None:
    await desk.post("contatos", desk.a_contact())
    assert (await desk.post("contatos", desk.a_contact(nif=None))).codes == ["231"]
    assert (await desk.post("contatos", desk.a_contact(codigo="WC-2"))).codes == ["253"]
    assert (await desk.post("contatos", desk.a_contact())).codes == ["231", "253"]
    for code in ("A", "B"):
        assert (await desk.post("contatos", desk.a_contact(codigo=code, nif="999999990"))).codes == []


async def test_the_anonymous_number_may_be_no_match(open_desk: OpenDesk) -> None:
    named = {"codigo": "X", "nif": "999999990", "nome": "Com nome"}
    literal, lenient = (
        await open_desk(UNLIMITED),
        await open_desk(replace(UNLIMITED, anonymous_number_matches=False)),
    )
    assert (await literal.issued(contato=literal.a_contact(**named)))["contato"]["nome"] == "Consumidor Final"
    assert (await lenient.issued(contato=lenient.a_contact(**named)))["contato"]["nome"] == "Com nome"


async def test_longer_names_may_be_taken(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, name_limit=150))
    assert (await desk.issue(contato=desk.a_contact(nome="x" * 150))).codes == []
    assert (await desk.issue(contato=desk.a_contact(codigo="2", nif=COMPANY_NUMBER, nome="x" * 151))).codes == [
        "101.nome.150"
    ]


async def test_articles_are_created_found_and_changed(desk: Desk) -> None:
    sent = {"codigo": "T-1", "descricao": "Camisa", "unidade_medida_id": desk.unit()}
    sent |= {"imposto_id": desk.tax(23), "iva_compra": 0, "precos": [{"preco_nome": "P", "preco_sem_iva": 10}]}
    made = (await desk.post("items", sent)).made
    assert (made["usado"], made["precos"][0]["preco_sem_iva"]) == (0, "10.00")
    assert (await desk.post("items", sent)).codes == ["231"]
    for query in ({"pesquisa[codigo]": "T-1"}, {"pesquisa[texto][codigo]": "t"}, {"pesquisa[texto][descricao]": "cam"}):
        assert [row["id"] for row in (await desk.search("items", query)).made["data"]] == [made["id"]]
    read = (await desk.get(f"items/{made['id']}")).made
    assert (read["unidade_medida"]["simbolo"], read["imposto"]["valor"]) == ("UN", 23)
    assert (await desk.call("PATCH", f"items/{made['id']}", {"descricao": "Outra"})).made["descricao"] == "Outra"
    assert (await desk.call("DELETE", f"items/{made['id']}")).status == 204


async def test_an_inline_article_whose_code_exists_may_be_refused(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, existing_code_refused=True))
    made = await desk.issued()
    assert (await desk.issue()).codes == ["231"]
    by_id = desk.line(codigo=None, item_id=made["lancamentos"][0]["item_id"])
    assert (await desk.issue(produtos=[by_id])).codes == []


async def test_a_line_without_article_makes_one_or_is_refused(desk: Desk, open_desk: OpenDesk) -> None:
    bare = {"nome": "Avulso", "quantidade": 1, "preco_unitario": 1, "imposto": 23}
    assert (await desk.issued(produtos=[bare]))["lancamentos"][0]["item"]["codigo"] == "1"
    strict = await open_desk(replace(UNLIMITED, articles_by_name=False))
    assert (await strict.issue(produtos=[bare])).codes == ["1.item_id"]


async def test_editing_a_draft_may_keep_what_is_not_sent(open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(UNLIMITED, draft_edit_merges=True))
    draft = await desk.issued(terminado=0, nota_documento="m")
    final = (await desk.post("documentos", {"id": draft["id"], "terminado": 1})).made
    assert (final["nota_documento"], final["invoice_number"]) == ("m", "FR B2026/1")


async def test_the_tax_office_link_says_what_was_set(desk: Desk) -> None:
    assert (await desk.post("at/estado-configuracao", {})).made == {"login_at_valido": 0}
    assert (await desk.post("at/configurar", {"user": f"{COMPANY_NUMBER}/1", "password": "p"})).made == {
        "success": True
    }
    assert (await desk.post("at/estado-configuracao", {})).made == {"login_at_valido": 1}
    assert "success" in (await desk.post("at/teste-dados-at", {})).made
    assert (await desk.post("at/registo-comunicacoes", {})).made["per_page"] == 40
    await desk.post("at/configurar", {"user": COMPANY_NUMBER, "password": "p"})
    assert (await desk.post("at/teste-dados-at", {})).codes == ["277"]
