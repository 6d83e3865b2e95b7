"""From order to document: what the calls answer when all is well."""

from datetime import timedelta
from typing import Any

from tests.contract.sandbox_billpt.desk import COMPANY_NUMBER, PERSON_NUMBER, Desk


async def test_one_request_makes_customer_articles_and_a_paid_invoice(desk: Desk) -> None:
    lines = [
        desk.line(quantidade=2, preco_unitario=10.5, desconto_1=10),
        desk.line(codigo="PORTES", nome="Portes", preco_unitario=4.0, servico=1, movimenta_stock=0),
    ]
    made = await desk.issued(produtos=lines, observacoes="Encomenda #1001", nota_documento="syncd:a:1:FR", lingua="pt")

    assert made["invoice_number"] == "FR B2026/1"
    assert made["invoice_date"] == "2026-11-21"
    assert (made["estado"], made["terminado"]) == ("N", 1)
    assert (made["net_total"], made["tax_total"], made["gross_total"]) == ("22.90", "5.27", "28.17")
    assert made["nota_documento"] == "syncd:a:1:FR"
    assert len(made["token_download"]) == 40
    assert made["contato"]["nif"] == PERSON_NUMBER
    first = made["lancamentos"][0]
    assert (first["quantidade"], first["preco_unitario"]) == ("2.0000000000", "10.5000000000")
    assert (first["desconto_1"], first["gross_total"]) == ("10.00000", "23.25")
    assert first["lancamento_pai_id"] is None
    assert first["item"]["codigo"] == "CAMISA-M"
    assert len(desk.sandbox.account.items) == 2


async def test_a_second_order_reuses_customer_and_articles(desk: Desk) -> None:
    first = await desk.issued()
    again = await desk.issued(contato=desk.a_contact(nome="Outro nome", morada="Rua Nova 5"))

    assert again["invoice_number"] == "FR B2026/2"
    assert again["contato_id"] == first["contato_id"]
    assert again["contato"]["nome"] == "Cliente Um"
    assert again["contato"]["morada"] == ""
    assert again["lancamentos"][0]["item_id"] == first["lancamentos"][0]["item_id"]


async def test_a_known_tax_number_wins_over_a_new_code(desk: Desk) -> None:
    first = await desk.issued()
    again = await desk.issued(contato=desk.a_contact(codigo="WC-2"))
    assert again["contato_id"] == first["contato_id"]


async def test_no_contact_means_the_anonymous_consumer(desk: Desk) -> None:
    consumer = desk.sandbox.account.consumer["id"]
    nobody: tuple[Any, ...] = (None, [], {})
    for contact in nobody:
        made = await desk.issued(contato=contact)
        assert made["contato_id"] == consumer
        assert made["contato"]["nif"] == "999999990"


async def test_a_number_that_is_refused_is_not_used_up(desk: Desk) -> None:
    await desk.issued()
    assert (await desk.issue(produtos=[desk.line(codigo="NOVO", imposto=99)])).codes == ["229"]
    assert desk.sandbox.account.items.find("codigo", "NOVO") is None
    assert (await desk.issued())["invoice_number"] == "FR B2026/2"


async def test_numbers_run_by_series_and_type(desk: Desk) -> None:
    numbers = [
        (await desk.issued(tipificacao=kind, serie_id=series))["invoice_number"]
        for kind, series in (("FR", None), ("FT", None), ("FR", desk.series("IVA2026")), ("FR", None))
    ]
    assert numbers == ["FR B2026/1", "FT B2026/1", "FR IVA2026/1", "FR B2026/2"]


async def test_a_type_may_be_given_by_its_id(desk: Desk) -> None:
    made = await desk.issued(tipificacao=None, tipo_documento_id=1)
    assert made["invoice_number"] == "FT B2026/1"


async def test_a_draft_has_no_number_and_gets_a_new_id_when_made_final(desk: Desk) -> None:
    draft = await desk.issued(terminado=0, nota_documento="m")
    assert (draft["terminado"], draft["invoice_number"]) == (0, "")

    for field in ("id", "documento_id"):
        final = await desk.issued(**{field: draft["id"]}, nota_documento="m")
        assert final["id"] != draft["id"]
        assert final["terminado"] == 1
        assert (await desk.get(f"documentos/{draft['id']}")).status == 404
        draft = await desk.issued(terminado=0)


async def test_drafts_are_deleted_and_final_documents_are_not(desk: Desk) -> None:
    draft, final = await desk.issued(terminado=0), await desk.issued()
    assert (await desk.call("DELETE", f"documentos/{draft['id']}")).status == 204
    assert (await desk.get(f"documentos/{draft['id']}")).status == 404
    assert (await desk.call("DELETE", f"documentos/{final['id']}")).codes == ["235"]


async def test_an_invoice_is_settled_by_a_receipt(desk: Desk) -> None:
    invoice = await desk.issued(tipificacao="FT")
    open_debt = (await desk.get(f"documentos/{invoice['id']}")).made["divida"]
    assert (open_debt["total_divida"], open_debt["data_finalizado"]) == ("12.30", None)

    receipt = (await desk.post(f"recibos/pagar/{invoice['id']}", {"observacoes": "syncd:a:1:RC"})).made
    assert receipt["invoice_number"] == "RC B2026/1"
    assert receipt["gross_total"] == 12.3
    assert "token_download" not in receipt

    paid = (await desk.get(f"documentos/{invoice['id']}")).made
    assert paid["divida"]["total_divida"] == "0.00"
    assert paid["divida"]["data_finalizado"] is not None
    assert paid["pagou"][0]["documento_relacionado_id"] == receipt["id"]
    stored = (await desk.get(f"documentos/{receipt['id']}")).made
    assert stored["observacoes"] == "syncd:a:1:RC"
    assert len(stored["token_download"]) == 40
    assert [document.id for document in desk.sandbox.marked("syncd:a:1:RC")] == [receipt["id"]]


async def test_a_receipt_may_pay_in_parts_but_never_too_much(desk: Desk) -> None:
    invoice = await desk.issued(tipificacao="FT")

    async def pay(amount: str) -> list[str]:
        part = {"documento_id": invoice["id"], "total": amount, "total_desconto": 0}
        sent = {"contato_id": invoice["contato_id"], "tipo_documento_id": 28, "documentos": [part]}
        return (await desk.post("recibos", sent)).codes

    assert await pay("12.31") == ["209"]
    assert await pay("10") == []
    assert await pay("2.31") == ["209"]
    assert await pay("2.30") == []
    assert (await desk.post(f"recibos/pagar/{invoice['id']}", {})).codes == ["209"]


async def test_a_paid_invoice_needs_no_receipt_and_takes_none(desk: Desk) -> None:
    made = await desk.issued()
    assert (await desk.post(f"recibos/pagar/{made['id']}", {})).codes == ["209"]
    assert (await desk.get(f"documentos/{made['id']}")).made["divida"]["data_finalizado"] is not None


async def test_a_credit_note_repeats_the_original(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=3, desconto_1=10)])
    note = (await desk.credit(original, observacoes="Devolução")).made

    assert note["invoice_number"] == "NC B2026/1"
    assert note["gross_total"] == original["gross_total"]
    assert note["lancamentos"][0]["lancamento_pai_id"] == original["lancamentos"][0]["id"]
    read = (await desk.get(f"documentos/{note['id']}")).made
    assert read["lancamentos"][0]["origem"]["documento_id"] == original["id"]
    assert (await desk.credit(original)).codes == ["209"]


async def test_a_line_is_credited_in_parts_until_nothing_is_left(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=3)])
    for quantity, codes in ((2, []), (2, ["209"]), (1, []), (1, ["209"])):
        assert (await desk.credit(original, desk.credit_line(original, quantidade=quantity))).codes == codes


async def test_an_annulled_credit_note_gives_back_what_it_took(desk: Desk) -> None:
    original = await desk.issued()
    note = (await desk.credit(original)).made
    assert (await desk.cancel(original)).codes == ["246"]
    assert (await desk.cancel(note)).made == {"id": note["id"], "estado": "A"}
    assert (await desk.credit(original)).codes == []


async def test_a_draft_credit_note_takes_nothing(desk: Desk) -> None:
    original = await desk.issued()
    await desk.credit(original, terminado=0)
    assert (await desk.credit(original)).codes == []


async def test_a_number_as_text_is_reference_enough(desk: Desk) -> None:
    original = await desk.issued()
    line = desk.line(item_id=original["lancamentos"][0]["item_id"], referencia_manual=original["invoice_number"])
    made = (await desk.credit(original, line)).made
    assert made["lancamentos"][0]["referencia_manual"] == "FR B2026/1"


async def test_pending_movements_show_what_can_still_be_credited(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=3), desk.line(codigo="B")])
    await desk.credit(original, desk.credit_line(original, quantidade=2), desk.credit_line(original, 1))

    one = (await desk.get(f"movimentos-pendentes/{original['id']}")).made
    assert [(row["quantidade"], row["quantidade_movida"]) for row in one] == [("3.0000000000", "2.0000000000")]
    assert one[0]["lancamento_original"]["id"] == original["lancamentos"][0]["id"]
    several = (await desk.search("movimentos-pendentes/multiplos", {"documentos[]": str(original["id"])})).made
    assert several == {str(original["id"]): one}
    listed = (await desk.get("movimentos-pendentes", contato_id=str(original["contato_id"]), tipificacao="NC")).made
    assert [row["origem_documento"]["id"] for row in listed["data"]] == [original["id"]]


async def test_cancelling_leaves_the_document_and_its_reason(desk: Desk) -> None:
    made = await desk.issued()
    assert (await desk.cancel(made, "Engano")).made == {"id": made["id"], "estado": "A"}
    assert (await desk.cancel(made)).codes == ["289"]
    read = (await desk.get(f"documentos/{made['id']}")).made
    assert (read["estado"], read["motivo"], read["invoice_number"]) == ("A", "Engano", "FR B2026/1")
    assert (await desk.issued())["invoice_number"] == "FR B2026/2"


async def test_cancelling_a_receipt_opens_its_invoice_again(desk: Desk) -> None:
    invoice = await desk.issued(tipificacao="FT")
    receipt = (await desk.post(f"recibos/pagar/{invoice['id']}", {})).made
    assert (await desk.cancel(invoice)).codes == ["236"]
    assert (await desk.cancel(receipt)).codes == []
    assert (await desk.cancel(invoice)).codes == []


async def test_after_five_days_or_in_another_month_only_a_credit_note_helps(desk: Desk) -> None:
    made = await desk.issued()
    desk.time.turn(timedelta(days=5))
    recent = await desk.issued()
    desk.time.turn(timedelta(seconds=1))
    assert (await desk.cancel(made)).codes == ["238"]
    desk.time.turn(timedelta(days=4, hours=23))
    assert (await desk.cancel(recent)).codes == ["237"]
    assert (await desk.credit(made)).codes == []


async def test_the_list_shows_no_notes_and_filters_by_what_is_documented(desk: Desk) -> None:
    first = await desk.issued(nota_documento="secret-marker", observacoes="order 1")
    await desk.issued(tipificacao="FT", contato=None)
    query = {"pesquisa[contato_id]": str(first["contato_id"]), "pesquisa[tipo_documento_id]": "3"}
    listed = (await desk.search("documentos", query)).made
    assert [row["id"] for row in listed["data"]] == [first["id"]]
    assert sorted(listed["data"][0]) == sorted(
        [
            *("id", "modulo_estado_id", "loja_id", "contato_id", "invoice_number", "codigo_at", "invoice_date"),
            *("gross_total", "prazo_vencimento", "terminado", "estado", "impresso", "token_download"),
        ]
    )
    contains = (await desk.search("documentos", {"pesquisa[texto][invoice_number]": "fr b2026"})).made
    assert [row["id"] for row in contains["data"]] == [first["id"]]
    ignored = (await desk.search("documentos", {"pesquisa[nota_documento]": "secret-marker"})).made
    assert ignored["total"] == 2


async def test_lists_come_in_pages_of_twenty_in_the_wanted_order(desk: Desk) -> None:
    made = []
    for _ in range(21):
        made.append((await desk.issued())["id"])
        desk.time.turn(timedelta(seconds=1))
    newest = {"pesquisa[order_by][system_entry_date]": "desc"}
    first = (await desk.search("documentos", newest)).made
    assert [row["id"] for row in first["data"]] == made[:0:-1]
    assert (first["total"], first["per_page"], first["current_page"], first["last_page"]) == (21, 20, 1, 2)
    assert (first["from"], first["to"], first["prev_page_url"]) == (1, 20, None)
    assert first["next_page_url"].endswith("/api/1.0/documentos?page=2")
    second = (await desk.search("documentos", newest | {"page": "2"})).made
    assert [row["id"] for row in second["data"]] == made[:1]
    assert second["next_page_url"] is None


async def test_the_note_can_be_set_later_and_is_read_with_the_document(desk: Desk) -> None:
    made = await desk.issued()
    answer = (await desk.post("documentos/nota-documento", {"id": made["id"], "nota_documento": "later"})).made
    assert answer == {"id": made["id"], "nota_documento": "later"}
    assert (await desk.get(f"documentos/{made['id']}")).made["nota_documento"] == "later"


async def test_each_mail_is_sent_again(desk: Desk) -> None:
    made = await desk.issued()
    sent = {"id": made["id"], "email": "cliente@loja.example"}
    for _ in range(2):
        assert (await desk.post("documentos/enviar-por-email", sent)).made == ["Enviado com sucesso"]
    assert desk.sandbox.account.books.all[made["id"]].mailed == ["cliente@loja.example"] * 2


async def test_only_the_first_download_is_the_original(desk: Desk) -> None:
    made = await desk.issued()
    url = f"{desk.serving.url}/documentos/download/{made['id']}/{made['token_download']}"
    files = []
    for _ in range(2):
        async with desk.http.get(url) as response:
            assert response.content_type == "application/pdf"
            files.append(await response.read())
    assert all(file.startswith(b"%PDF-") and file.rstrip().endswith(b"%%EOF") for file in files)
    assert b"Original" in files[0]
    assert b"Duplicado" in files[1]
    assert (await desk.get(f"documentos/{made['id']}")).made["impresso"] == 1
    async with desk.http.get(url[:-1] + ("0" if url[-1] != "0" else "1")) as response:
        assert response.status == 404


async def test_an_offer_turned_into_an_invoice_can_no_longer_be_cancelled(desk: Desk) -> None:
    offer = await desk.issued(tipificacao="ORC")
    invoice = await desk.issued(contato=None, contato_id=offer["contato_id"], produtos=[desk.credit_line(offer)])
    assert invoice["invoice_number"] == "FR B2026/1"
    assert (await desk.cancel(offer)).codes == ["251"]


async def test_sales_move_stock_and_returns_bring_it_back(desk: Desk) -> None:
    original = await desk.issued(produtos=[desk.line(quantidade=3), desk.line(codigo="PORTES", servico=1)])
    await desk.credit(original, desk.credit_line(original, quantidade=1))
    [row] = (await desk.get("stock")).made["data"]
    assert (row["stock"], row["quantidade_entrada"]) == ("-2.000000", "1.000000")
    item, shop = str(row["item_id"]), str(row["loja_id"])
    assert (await desk.get("stock/singular", item_id=item, loja_id=shop)).made["stock"] == "-2.000000"
    moves = (await desk.get("stock/movimentos")).made
    assert (moves["per_page"], [move["stock"] for move in moves["data"]]) == (50, ["-3.000000", "-2.000000"])


async def test_a_company_with_an_address_may_buy_above_the_anonymous_limit(desk: Desk) -> None:
    line = desk.line(preco_unitario=2000)
    assert (await desk.issue(produtos=[line], contato=desk.a_contact(nif=COMPANY_NUMBER))).codes == []
    named = desk.a_contact(codigo="WC-9", nif=None, morada="Rua Nova 5")
    assert (await desk.issue(produtos=[line], contato=named)).codes == []
