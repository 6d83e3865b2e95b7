"""Faults: what has happened at the service, and what the client gets to see of it."""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from syncd.sandbox.billpt import Fault, FaultKind
from tests.contract.sandbox_billpt.desk import Desk

DOCUMENTS = "/api/1.0/documentos"


async def test_a_lost_answer_leaves_a_document_behind(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=FaultKind.LOSE_ANSWER, method="POST", path=DOCUMENTS))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await desk.issue(nota_documento="m")
    assert len(desk.sandbox.marked("m")) == 1
    assert desk.sandbox.log[-1].status == 0
    assert (await desk.issue(nota_documento="m")).status == 200


async def test_a_truncated_answer_leaves_a_document_behind(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=FaultKind.TRUNCATE))
    with pytest.raises(aiohttp.ClientPayloadError):
        await desk.issue(nota_documento="m")
    assert len(desk.sandbox.marked("m")) == 1


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (Fault(kind=FaultKind.ERROR_AFTER), 500, 1),
        (Fault(kind=FaultKind.ERROR_BEFORE), 500, 0),
        (Fault(kind=FaultKind.TOO_MANY), 429, 0),
        (Fault(kind=FaultKind.REFUSE, code="203"), 401, 0),
        (Fault(kind=FaultKind.REFUSE, code="254"), 400, 0),
        (Fault(kind=FaultKind.REFUSE, code="276", status=200), 200, 0),
    ],
    ids=lambda value: str(getattr(value, "kind", value)),
)
async def test_a_fault_strikes_before_or_after_the_effect(fault: Fault, status: int, made: int, desk: Desk) -> None:
    desk.sandbox.faults.add(fault)
    answer = await desk.issue(nota_documento="m")
    assert answer.status == status
    assert answer.codes
    assert ("Retry-After" in answer.headers) is (status == 429)
    assert len(desk.sandbox.marked("m")) == made
    assert (await desk.issue(nota_documento="n")).status == 200


async def test_a_page_may_come_instead_of_json(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=FaultKind.HTML))
    headers = {"Authorization": f"Bearer {desk.sandbox.token}"}
    async with desk.http.post(f"{desk.serving.url}{DOCUMENTS}", json=desk.a_document(), headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "X-RateLimit-Limit" in response.headers


@pytest.mark.parametrize("kind", [FaultKind.SLOW_BEFORE, FaultKind.SLOW_AFTER])
async def test_a_slow_answer_waits_on_the_sandboxs_clock(kind: FaultKind, desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=kind, seconds=40))
    await desk.issued()
    assert desk.time.slept == [40]


async def test_new_documents_may_stay_invisible_for_a_while(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=FaultKind.LAG, seconds=30))
    made = await desk.issued(tipificacao="FT")
    assert (await desk.get("documentos")).made["total"] == 0
    assert (await desk.get(f"documentos/{made['id']}")).status == 404
    desk.time.turn(timedelta(seconds=30))
    assert (await desk.get("documentos")).made["total"] == 1
    assert (await desk.get(f"documentos/{made['id']}")).made["id"] == made["id"]


async def test_a_fault_fits_its_method_and_path_and_counts_down(desk: Desk) -> None:
    desk.sandbox.faults.add(Fault(kind=FaultKind.ERROR_BEFORE, method="GET", path="/api/1.0/imp*", times=2))
    assert (await desk.get("series")).status == 200
    assert [(await desk.get("impostos")).status for _ in range(3)] == [500, 500, 200]
    assert desk.sandbox.faults.hits == {FaultKind.ERROR_BEFORE: 2}


async def test_chance_is_seeded(desk: Desk) -> None:
    other = await Desk.open()

    async def statuses(at: Desk) -> list[int]:
        at.sandbox.faults.add(Fault(kind=FaultKind.ERROR_BEFORE, times=None, probability=0.5))
        return [(await at.get("impostos")).status for _ in range(20)]

    first = await statuses(desk)
    assert first == await statuses(other)
    assert set(first) == {200, 500}
    await other.close()


async def test_faults_and_state_are_reached_over_http_without_a_token(desk: Desk) -> None:
    base = f"{desk.serving.url}/_sandbox"

    async def control(method: str, path: str, json: Any = None) -> Any:
        async with desk.http.request(method, f"{base}/{path}", json=json) as response:
            return response.status, await response.json()

    _, added = await control(
        "POST", "faults", [{"kind": "error_500_after_commit", "times": 1, "path": f"{DOCUMENTS}*"}]
    )
    assert added[0]["kind"] == "error_500_after_commit"
    await desk.issue(nota_documento="m")
    invoice = await desk.issued(tipificacao="FT", nota_documento="n")
    await desk.post(f"recibos/pagar/{invoice['id']}", {"observacoes": "r"})
    await desk.issue(terminado=0)

    _, state = await control("GET", "state")
    assert state["documents"] == {"final": 3, "drafts": 1, "annulled": 0}
    assert {marker: [row["invoice_number"] for row in found] for marker, found in state["markers"].items()} == {
        "m": ["FR B2026/1"],
        "n": ["FT B2026/1"],
        "r": ["RC B2026/1"],
    }
    assert state["limiter"]["arrived"] == state["limiter"]["worst_window"] == state["requests"] == 4
    assert state["by_route"]["POST /api/1.0/documentos"] == 3
    assert state["by_status"] == {"500": 1, "200": 3}
    assert state["faults_hit"] == {"error_500_after_commit": 1}
    _, log = await control("GET", "log")
    assert sorted(log[0]) == ["at", "method", "path", "seconds", "status"]
    assert await control("POST", "faults", {"kind": "earthquake"}) == (
        400,
        {"error": ["'earthquake' is not a valid FaultKind"]},
    )
    assert (await control("POST", "faults", {}))[0] == 400
    await control("POST", "faults", {"kind": "html", "times": None})
    assert await control("DELETE", "faults") == (200, [])
    assert await control("GET", "faults") == (200, [])
