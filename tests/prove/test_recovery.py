"""What becomes of a document whose answer was lost, case by case, against the emulator and in simulated time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from syncd.dispatch.dispatcher import LONGEST_REST
from syncd.dispatch.outcome import Outcome
from syncd.dispatch.records import Records
from syncd.domain.states import DocumentState
from syncd.mapping.policy import PaidDocument
from syncd.sandbox.billpt import FaultKind
from syncd.store import documents, looks, orders, trail
from tests.prove.cases import NAMED, Bench, a_bench, an_order
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Killed
from tests.prove.wire import Mishap
from tests.prove.world import SETTLE, Process

UNCERTAIN_KINDS = (
    FaultKind.LOSE_ANSWER,
    FaultKind.TRUNCATE,
    FaultKind.HTML,
    FaultKind.ERROR_BEFORE,
    FaultKind.ERROR_AFTER,
)


@pytest.mark.parametrize("buyer", [{}, NAMED], ids=["final consumer", "customer with a tax number"])
@pytest.mark.parametrize("kind", UNCERTAIN_KINDS)
async def test_a_lost_answer_costs_three_requests_and_makes_one_document(
    kind: FaultKind, buyer: dict[str, Any], sqlite_url: str
) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        before = await bench.requests()
        await bench.tell(an_order(buyer=buyer))
        bench.fail(kind)
        await bench.work(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.UNCERTAIN
        await bench.settle(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED
        assert await bench.requests() - before <= 3
        assert len(bench.living()) == 2


async def test_nothing_is_searched_before_the_settle_time(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        bench.fail(FaultKind.LAG, seconds=50)
        await bench.work(process)
        await asyncio.sleep(SETTLE.total_seconds() - 1)
        await bench.work(process)
        assert await bench.requests("verify") == 0
        await bench.settle(process)
        assert len(bench.living()) == 2


async def test_what_is_adopted_is_the_document_with_its_marker_and_its_line_ids(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        await bench.tell(an_order("2"))  # the same amount, the same moment, the same final consumer
        bench.fail(FaultKind.LOSE_ANSWER, times=2)
        await bench.work(process)
        await bench.settle(process, 3)
        (row,) = await bench.rows()
        assert len(bench.living()) == 3
        async with process.database.read() as connection:
            (key,) = [known.key for known in await documents.known(connection, "loja", "1")]
            issued = (await documents.originals(connection, [key]))[key]
            markers = await documents.markers(connection, row.id)
        (ours,) = [document for document in bench.living() if document.note in markers]
        assert (issued.provider_id, issued.number) == (str(ours.id), ours.number)
        assert [line.id for line in issued.lines] == [str(line.id) for line in ours.lines]


@pytest.mark.parametrize("kind", UNCERTAIN_KINDS)
async def test_receipts_and_credit_notes_are_recovered_as_well(kind: FaultKind, sqlite_url: str) -> None:
    async with a_bench(sqlite_url, PaidDocument.FT_RC) as bench, bench.world.process() as process:
        story = an_order(buyer=NAMED)
        await bench.tell(story)
        bench.fail(kind, path="/api/1.0/recibos")
        await bench.work(process)
        await bench.settle(process)
        assert sorted(row.kind for row in await bench.rows() if row.state is DocumentState.ISSUED) == ["FT", "RC"]
        await bench.tell(story, 1)
        bench.fail(kind)
        await bench.work(process)
        await bench.settle(process, 2)
        rows = await bench.rows()
        assert {row.state for row in rows} == {DocumentState.ISSUED}
        assert sorted(d.kind.tag for d in bench.living()) == ["FT", "FT", "NC", "RC", "RC"]


@pytest.mark.parametrize("lost", [1, 2], ids=["the draft's answer", "the final one's answer"])
async def test_in_proving_mode_a_lost_answer_leaves_one_document_and_no_draft(lost: int, sqlite_url: str) -> None:
    async with a_bench(sqlite_url, proven=False) as bench:
        await bench.tell(an_order())
        # Dying is the surest way to lose an answer: every request touches the service twice.
        series_and_taxes = 5
        for requests in range(1, 2 * (series_and_taxes + lost) + 1):
            try:
                async with bench.world.process(Fate(requests=requests)) as process:
                    await bench.work(process)
                    await bench.settle(process)
            except Killed:
                continue
        async with bench.world.process() as process:
            await bench.settle(process, 12)
        (only,) = bench.world.stage.emulator.account.books.all.values()
        assert only.final


async def test_a_proven_draft_is_made_final_by_the_next_try(sqlite_url: str) -> None:
    async with a_bench(sqlite_url, proven=False) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.SLOW_BEFORE, seconds=1)  # the draft passes
        await process.reconciler.work_off()
        finals = process.service._api.send

        async def busy_once(request: Any) -> Any:
            if request.body and request.body.get("id"):
                bench.fail(FaultKind.TOO_MANY)
                process.service._api.send = finals  # type: ignore[method-assign]
            return await finals(request)

        process.service._api.send = busy_once  # type: ignore[method-assign]
        await process.dispatcher.step()
        await bench.settle(process)
        (only,) = bench.world.stage.emulator.account.books.all.values()
        assert only.final


async def surfaces_late(bench: Bench, process: Process) -> None:
    """The first attempt comes into being after a second one has been issued."""
    await bench.tell(an_order())
    bench.fail(FaultKind.SLOW_BEFORE, seconds=3 * SETTLE.total_seconds())
    await bench.work(process)
    await bench.settle(process)
    (row,) = await bench.rows()
    assert (row.state, row.hold, len(bench.living())) == (DocumentState.ISSUED, None, 2)


async def order_state(process: Process) -> str:
    async with process.database.read() as connection:
        found = await orders.get(connection, "loja", "1")
    assert found is not None
    return found.state.value


async def test_a_first_attempt_that_surfaces_after_the_second_is_annulled(database_url: str) -> None:
    async with a_bench(database_url) as bench, bench.world.process() as process:
        await surfaces_late(bench, process)
        kept = bench.living()[-1].number
        await bench.settle(process, 15)
        (row,) = await bench.rows()
        assert (row.state, row.hold, row.number) == (DocumentState.ISSUED, None, kept)
        assert [document.number for document in bench.living()][1:] == [kept]
        assert await order_state(process) == "issued"
        async with process.database.read() as connection:
            told = await trail.timeline(connection, "loja", "1")
        assert [entry.detail["number"] for entry in told if entry.action == "duplicate_annulled"] != [kept]


async def test_an_annulled_duplicate_whose_answer_is_lost_is_looked_for_again(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await surfaces_late(bench, process)
        bench.fail(FaultKind.LOSE_ANSWER, method="PATCH")
        await bench.settle(process, 20)
        (row,) = await bench.rows()
        assert (row.hold, len(bench.living()), await order_state(process)) == (None, 2, "issued")


async def test_a_first_attempt_that_cannot_be_annulled_any_more_is_told_to_a_person(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await surfaces_late(bench, process)
        bench.fail(FaultKind.REFUSE, method="PATCH", code="238", status=400)
        await bench.settle(process, 15)
        (row,) = await bench.rows()
        assert row.hold is not None
        assert row.hold.code == "issued_twice"
        assert bench.living()[-1].number in row.hold.message
        assert await order_state(process) == "held"


async def test_two_attempts_that_both_came_into_being_are_one_document_and_one_annulled(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.SLOW_BEFORE, seconds=2 * SETTLE.total_seconds())
        await bench.work(process)
        bench.fail(FaultKind.LOSE_ANSWER)
        await bench.settle(process)
        await bench.settle(process, 15)
        (row,) = await bench.rows()
        assert (row.state, row.hold) == (DocumentState.ISSUED, None)
        assert [document.number for document in bench.living()][1:] == [row.number]
        assert sum(document.annulled for document in bench.world.stage.emulator.account.books.all.values()) == 1


async def test_the_second_look_outlives_the_process(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        async with bench.world.process() as process:
            await surfaces_late(bench, process)
        async with bench.world.process() as process:
            await bench.settle(process, 15)
        (row,) = await bench.rows()
        assert [document.number for document in bench.living()][1:] == [row.number]


async def test_between_two_second_looks_a_document_goes_out(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        for number in ("a", "b", "c"):
            bench.fail(FaultKind.ERROR_BEFORE)
            await bench.tell(an_order(number))
            await bench.work(process)
        await bench.settle(process)  # all three are absent, and sent again
        await asyncio.sleep(10 * SETTLE.total_seconds())
        for number in ("d", "e"):
            await bench.tell(an_order(number))
        while await process.reconciler.work_off():
            pass
        done = []
        while not await process.dispatcher.step():
            async with process.database.read() as connection:
                waiting = await looks.waiting(connection, "main")
            done.append((len(waiting), len(bench.living()) - 4))
        assert done == [(2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]


async def test_a_document_that_surfaces_after_its_order_was_cancelled_is_credited(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        story = an_order()
        await bench.tell(story)
        bench.fail(FaultKind.SLOW_BEFORE, seconds=3 * SETTLE.total_seconds())
        await bench.work(process)
        await asyncio.sleep(SETTLE.total_seconds())
        await process.dispatcher.step()  # searched: certainly absent, planned again
        await bench.tell(story, 2)
        await bench.work(process)  # cancelled, so that nothing is due any more
        assert [row.state for row in await bench.rows()] == [DocumentState.WITHDRAWN]
        await bench.settle(process, 15)
        assert [(row.kind, row.state) for row in await bench.rows()] == [("FR", "issued"), ("NC", "issued")]


async def test_several_documents_with_the_marker_are_held_with_their_numbers(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        await bench.work(process)
        emulator = bench.world.stage.emulator
        copy = replace(bench.living()[-1], id=emulator.world.ids.next("documentos"), number="FR A/77")
        emulator.account.books.add(copy)
        await bench.settle(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.UNCERTAIN
        assert row.hold is not None
        assert row.hold.code == "several_found"
        assert bench.living()[1].number in row.hold.message
        assert "FR A/77" in row.hold.message


async def test_a_trail_that_stays_unreadable_is_held_with_the_evidence(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        bench.fail(FaultKind.HTML, method="GET", times=None)
        await bench.work(process)
        await bench.settle(process, 8)
        (row,) = await bench.rows()
        assert row.hold is not None
        assert row.hold.code == "search_failed"
        async with process.database.read() as connection:
            (marker,) = await documents.markers(connection, row.id)
        assert marker in row.hold.message
        assert len(bench.living()) == 2  # nothing was sent again


async def test_a_blocked_account_pauses_the_search_and_holds_no_order(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        await bench.work(process)
        bench.fail(FaultKind.REFUSE, method="GET", code="208", status=401)
        await bench.settle(process)
        (row,) = await bench.rows()
        assert (row.state, row.hold) == (DocumentState.UNCERTAIN, None)
        await bench.settle(process, 3)
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED


async def test_an_account_that_passes_its_check_and_refuses_again_is_asked_less_and_less(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.REFUSE, code="309", times=None)
        await process.reconciler.work_off()
        await process.dispatcher.step()
        rests: list[float] = []
        while len(rests) < 8:
            if rest := await process.dispatcher.step():
                rests.append(rest)
                await asyncio.sleep(rest)
        assert rests[:3] == sorted(set(rests[:3]))
        assert all(50 < rest <= 60 for rest in rests[3:])
        bench.world.stage.emulator.faults.clear()
        await bench.settle(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED


async def test_killed_between_write_ahead_and_record_it_is_found(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        await bench.tell(an_order())
        with pytest.raises(Killed):
            async with bench.world.process(Fate(requests=2)) as process:
                await bench.work(process)
        assert len(bench.living()) == 2
        async with bench.world.process() as process:
            await bench.work(process)
            (row,) = await bench.rows()
            assert row.state is DocumentState.UNCERTAIN
            await bench.settle(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED
        assert len(bench.living()) == 2


async def test_a_search_that_a_death_has_cut_short_is_due_again_at_once(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        async with bench.world.process() as process:
            await bench.work(process)
        await asyncio.sleep(SETTLE.total_seconds())
        for strikes in range(1, 5):  # the list and the document: each time it has left, and before its answer is there
            with pytest.raises(Killed):
                async with bench.world.process(Fate(requests=strikes)) as process:
                    await bench.work(process)
        async with bench.world.process() as process:
            await process.dispatcher.step()
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED


async def test_however_often_it_was_not_reached_a_service_is_searched_soon_after_it_is_back(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.LOSE_ANSWER)
        await bench.work(process)
        bench.world.network.mishaps[Mishap.REFUSED] = 9
        while bench.world.network.mishaps[Mishap.REFUSED]:
            await bench.settle(process)
        (row,) = await bench.rows()
        assert row.state is DocumentState.UNCERTAIN
        assert row.run_at - the_loop().now() <= LONGEST_REST


async def test_who_was_overtaken_by_another_attempt_changes_nothing(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        await process.reconciler.work_off()
        claimed = await process.dispatcher._claimer.planned(the_loop().now())
        assert claimed is not None
        outcome = Outcome(state=DocumentState.PLANNED)
        records = Records("main", process.database, process.metrics, now=the_loop().now)
        await records.not_done(replace(claimed, marker="syncd:earlier"), outcome, "came back late")
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUING


async def test_a_fault_that_only_one_document_meets_ends_with_a_person(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.ERROR_BEFORE, times=2)
        await bench.work(process)
        await bench.settle(process, 1)
        await bench.tell(an_order("2"))  # goes through, so that the service is well
        await bench.work(process)
        bench.fail(FaultKind.ERROR_BEFORE, times=None)
        await bench.settle(process, 12)
        (row,) = await bench.rows()
        assert row.state is DocumentState.HELD
        assert row.hold is not None
        assert row.hold.code == "service_fault"
        assert "failed with status 500" in row.hold.message
        spent = await bench.requests("issue")
        await bench.settle(process, 5)
        assert await bench.requests("issue") == spent


async def test_while_nothing_goes_through_a_fault_is_the_services_and_passes(sqlite_url: str) -> None:
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        await bench.tell(an_order())
        bench.fail(FaultKind.ERROR_BEFORE, times=None)
        await bench.work(process)
        await bench.settle(process, 12)
        (row,) = await bench.rows()
        assert row.hold is None
        bench.world.stage.emulator.faults.clear()
        await bench.settle(process, 3)
        (row,) = await bench.rows()
        assert row.state is DocumentState.ISSUED


async def test_a_customer_who_comes_back_under_another_name_is_named_by_it(sqlite_url: str) -> None:
    renamed = {**NAMED, "name": "Ana Sousa", "billing": {**NAMED["billing"], "name": "Ana Sousa"}}
    async with a_bench(sqlite_url) as bench, bench.world.process() as process:
        before = await bench.requests()
        await bench.tell(an_order(buyer=renamed))
        await bench.work(process)
        assert await bench.requests() - before == 1
        assert bench.living()[-1].observations == "Encomenda 1. Cliente na encomenda: Ana Sousa"
