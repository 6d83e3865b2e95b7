"""Answers that the emulator of Bill.pt does not give."""

import pytest

from syncd.domain.errors import NoEffectError, RefusedError, UncertainError
from syncd.providers.port import Issue, Purpose
from tests.builders import a_line, an_order
from tests.contract.billpt.bench import ISSUED, KNOWN_BUYER, LISTS, MARKER, against, sale

POST = "POST /api/1.0/documentos"

UNUSABLE = {
    "no id": {key: value for key, value in ISSUED.items() if key != "id"},
    "no total": ISSUED | {"gross_total": None},
    "no number": ISSUED | {"invoice_number": ""},
    "a draft instead": ISSUED | {"terminado": 0},
    "an error beside the document": ISSUED | {"error": ["249"]},
    "a list": [ISSUED],
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_success_that_is_not_what_was_asked_for_is_uncertain(answer: object) -> None:
    async with against(LISTS | {POST: [(200, answer)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_a_final_document_where_a_draft_was_asked_for_is_uncertain() -> None:
    async with against(LISTS | {POST: [(201, ISSUED)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER, as_draft=True))


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_an_error_in_the_body_is_one_under_any_status(status: int) -> None:
    async with against(LISTS | {POST: [(status, {"error": ["206"]})]}) as (service, _, _):
        with pytest.raises(RefusedError) as caught:
            await service.issue(Issue(draft=sale(), marker=MARKER))
    assert caught.value.code == "billpt.206"


@pytest.mark.parametrize("answer", [(408, {}), (400, {"error": ["276"]}), (200, {"id": 1, "error": ["249"]})])
async def test_a_failed_look_up_never_looks_like_a_lost_document(answer: tuple[int, object]) -> None:
    async with against(LISTS | {"GET /api/1.0/series": [answer]}) as (service, _, _):
        with pytest.raises(NoEffectError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_a_text_that_is_too_long_is_cut_at_a_word_and_sent_once_more() -> None:
    replies = [(400, {"error": ["101.nome.6", "101.morada.8"]}), (200, ISSUED)]
    async with against(LISTS | {POST: replies}) as (service, server, gateway):
        issued = await service.issue(Issue(draft=sale(), marker=MARKER))
    first, second = server.bodies(POST)
    assert issued.number == "FR WEB/17"
    assert (first["contato"]["nome"], first["morada"]) == ("Rita Lopes", "Rua Nova 5")
    assert (second["contato"]["nome"], second["morada"]) == ("Rita", "Rua Nova")
    assert second["nota_documento"] == MARKER
    assert len(gateway.of(Purpose.ISSUE)) == 2


async def test_a_text_that_is_still_too_long_is_refused_after_one_more_try() -> None:
    replies = [(400, {"error": ["101.nome.6"]}), (400, {"error": ["101.nome.2"]})]
    async with against(LISTS | {POST: replies}) as (service, _, gateway):
        with pytest.raises(RefusedError):
            await service.issue(Issue(draft=sale(), marker=MARKER))
    assert len(gateway.of(Purpose.ISSUE)) == 2


async def test_a_second_try_that_gets_lost_is_uncertain() -> None:
    replies = [(400, {"error": ["101.nome.6"]}), (502, {})]
    async with against(LISTS | {POST: replies}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.issue(Issue(draft=sale(), marker=MARKER))


async def test_prices_leave_as_numbers_with_all_their_digits() -> None:
    draft = sale(an_order(a_line("20.00", quantity="7"), buyer=KNOWN_BUYER))
    async with against(LISTS | {POST: [(200, ISSUED)]}) as (service, server, _):
        await service.issue(Issue(draft=draft, marker=MARKER))
    sent = next(seen.body for seen in server.seen if seen.method == "POST")
    assert f'"preco_unitario":{draft.lines[0].unit_price:f},'.encode() in sent


async def test_an_annulment_that_is_not_confirmed_is_uncertain() -> None:
    answer = {"id": 3501, "estado": "N"}
    async with against({"PATCH /api/1.0/documentos": [(200, answer)]}) as (service, _, _):
        with pytest.raises(UncertainError):
            await service.annul("3501", "Encomenda anulada")
