"""One seeded schedule: orders told, time passed, requests mistreated and processes killed in a random order."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from syncd.dispatch.recovery import SECOND_LOOK
from syncd.domain.states import DocumentState
from syncd.mapping.policy import PaidDocument
from syncd.sandbox.billpt import Fault, FaultKind
from syncd.sandbox.billpt.records import Document
from syncd.store import attempts, documents, events
from syncd.store.codec import load_draft
from syncd.store.engine import Database
from syncd.store.references import LedgerDirectory
from syncd.store.tables import attempt, trail
from syncd.store.tables import document as ledger
from tests.prove.stories import Story, a_desk, a_story
from tests.prove.world import Fate, Killed, Process, World, a_world

# Together shorter than the settle time, or a search proves nothing.
LATEST, LONGEST_LAG = 40, 15
MOST_ROUNDS = 400
WORK = "/api/1.0/*"
ISSUING = "/api/1.0/documentos"
SALES = frozenset({"FT", "FR", "FS"})


@dataclass(slots=True)
class Result:
    """What came of a schedule; `wrong` says what should not be, in words."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    orders: int = 0
    drafts_left: int = 0
    purposes: Counter[str] = field(default_factory=Counter)
    settle_seconds: list[float] = field(default_factory=list)
    requests_of_recovered: list[int] = field(default_factory=list)


async def run(seed: int, ledger_url: str) -> Result:
    """Play the schedule of this seed on an empty ledger, and compare what the service has with what it should."""
    chance = random.Random(seed)
    paid = chance.choice((PaidDocument.FR, PaidDocument.FR, PaidDocument.FT_RC))
    desk = a_desk(paid, unpaid_document=paid is PaidDocument.FT_RC and chance.random() < 0.5)
    result = Result(seed)
    async with a_world(ledger_url, desk, seed=str(seed), chance=chance) as world:
        stories = [
            a_story(number, chance, world.time.now() - timedelta(hours=1))
            for number in range(1, chance.randint(1, 3) + 1)
        ]
        world.stage.emulator.faults.add(*_faults(chance))
        await _disturbed(world, stories, chance, result)
        world.stage.emulator.faults.clear()
        await _in_peace(world, result)
        await _judge(world, stories, result)
        hits = world.stage.emulator.faults.hits
        result.met += Counter({str(kind): number for kind, number in hits.items()}) + world.stage.met
    result.orders = len(stories)
    return result


def _faults(chance: random.Random) -> Iterator[Fault]:
    for kind in chance.sample([kind for kind in FaultKind if kind is not FaultKind.REFUSE], chance.randint(1, 5)):
        seconds = {
            FaultKind.LAG: chance.randint(1, LONGEST_LAG),
            FaultKind.SLOW_BEFORE: chance.randint(5, LATEST),
            FaultKind.SLOW_AFTER: chance.randint(5, LATEST),
        }.get(kind, 0)
        yield Fault(
            kind=kind,
            times=chance.randint(1, 4),
            probability=chance.choice((0.1, 0.3, 0.6, 1.0)),
            method="POST" if kind is FaultKind.LAG else chance.choice(("POST", "POST", "")),
            path=chance.choice((ISSUING, WORK)),
            seconds=seconds,
        )


async def _disturbed(world: World, stories: list[Story], chance: random.Random, result: Result) -> None:
    """All that shops tell, in a random order and often twice, while processes come and go."""
    told = [
        (story, state) for story in stories for state in range(len(story.states)) for _ in range(chance.randint(1, 3))
    ]
    chance.shuffle(told)
    result.met["webhooks doubled"] = len(told) - sum(len(story.states) for story in stories)
    while told:
        fate = chance.choice((Fate(), Fate(touches=chance.randint(1, 80)), Fate(requests=chance.randint(1, 8))))
        try:
            async with world.process(fate) as process:
                for _ in range(chance.randint(5, 25)):
                    await _act(world, process, told, chance)
        except Killed:
            result.met["killed"] += 1
            await world.stage.pass_time(chance.choice((0, 1, 5)))


async def _act(world: World, process: Process, told: list[tuple[Story, int]], chance: random.Random) -> None:
    match chance.choices(("told", "plan", "step", "wait"), (4, 3, 7, 2))[0]:
        case "told" if told:
            story, state = told[-1]
            await events.accept(process.database, [story.incoming(state, world.time.now())])
            told.pop()  # only now: a shop that got no answer tells it again
        case "plan":
            await process.reconciler.work_off()
        case "wait":
            await world.stage.pass_time(chance.choice((1, 5, 20, 60)))
        case _:
            await process.dispatcher.step()


async def _in_peace(world: World, result: Result) -> None:
    """No more trouble: everything that is due must come to its end."""
    async with world.process() as process:
        for _ in range(MOST_ROUNDS):
            while await process.reconciler.work_off():
                pass
            wait = await process.dispatcher.step()
            if wait and await _is_done(process):
                return
            await world.stage.pass_time(wait * 30)
    result.wrong.append(f"still not done after {MOST_ROUNDS} rounds")


async def _is_done(process: Process) -> bool:
    async with process.database.read() as connection:
        counts = await documents.counts(connection)
    on_the_way = ("waiting", "planned", "issuing", "uncertain")
    return not any(counts[DocumentState(state)] for state in on_the_way) and not await LedgerDirectory(
        process.database, "main"
    ).table(SECOND_LOOK)


async def _judge(world: World, stories: list[Story], result: Result) -> None:
    database = world.open_ledger()
    try:
        by_order = await _documents_of_orders(database, world, result)
        await _count(database, result)
    finally:
        await database.close()
    known = sum(len(found) for found in by_order.values())
    everything = [d for d in world.stage.emulator.account.books.all.values() if d.final and not d.annulled]
    result.documents = len(everything)
    result.drafts_left = sum(not d.final for d in world.stage.emulator.account.books.all.values())
    if known != len(everything):
        result.wrong.append(f"the service has {len(everything)} documents, {known} of them the ledger's")
    for story in stories:
        _judge_order(story, by_order[story.order_id], result)


async def _documents_of_orders(database: Database, world: World, result: Result) -> dict[str, list[Document]]:
    """The living final documents at the service by order, told by the markers that each was sent with."""
    found: dict[str, list[Document]] = defaultdict(list)
    async with database.read() as connection:
        rows = (await connection.execute(sa.select(ledger))).all()
        markers = {row.id: await documents.markers(connection, row.id) for row in rows}
    for row in rows:
        living = [
            d for marker in markers[row.id] for d in world.stage.emulator.marked(marker) if d.final and not d.annulled
        ]
        found[row.order_id] += living
        if row.state == DocumentState.WITHDRAWN.value and not living:
            continue
        if row.state != DocumentState.ISSUED.value or row.hold_code:
            result.wrong.append(f"{row.key} is {row.state} {row.hold_code} {row.hold_message}")
        if len(living) != 1:
            result.wrong.append(f"{row.key} exists {len(living)} times")
        elif (living[0].number, living[0].sums.gross) != (row.number, load_draft(row.draft).totals.gross):
            result.wrong.append(f"{row.key} is {living[0].number} of {living[0].sums.gross} at the service")
    return found


def _judge_order(story: Story, found: list[Document], result: Result) -> None:
    """By what the shop told, without asking the ledger."""
    sales = [d.sums.gross for d in found if d.kind.tag in SALES]
    credited = [d.sums.gross for d in found if d.kind.tag == "NC"]
    receipts = [d.sums.gross for d in found if d.kind.tag == "RC"]
    if story.cancelled and not found:
        return  # cancelled before anything was due
    kept = sum(sales, Decimal()) - sum(credited, Decimal())
    if sales != [story.total] or kept != story.kept:
        result.wrong.append(f"order {story.order_id} of {story.total}, kept {story.kept}: {sales} less {credited}")
    if any(d.kind.tag == "FT" for d in found) and story.kept == story.total and receipts != [story.total]:
        result.wrong.append(f"order {story.order_id} of {story.total} has receipts of {receipts}")


async def _count(database: Database, result: Result) -> None:
    async with database.read() as connection:
        result.purposes = Counter(await attempts.per_purpose(connection))
        spent = sa.select(attempt.c.document_id, sa.func.count().label("requests")).where(attempt.c.purpose != "lookup")
        rows = await connection.execute(spent.group_by(attempt.c.document_id))
        requests = {row.document_id: row.requests for row in rows}
        ids = {row.key: row.id for row in await connection.execute(sa.select(ledger.c.id, ledger.c.key))}
        steps = sa.select(trail.c.document_key, trail.c.action, trail.c.at).order_by(trail.c.id)
        since: dict[str, float] = {}
        for key, action, at in await connection.execute(steps):
            if action == "uncertain":
                since.setdefault(key, at.timestamp())
            elif action in {"issued", "adopted"} and key in since:
                result.settle_seconds.append(at.timestamp() - since.pop(key))
                result.requests_of_recovered.append(requests.get(ids.get(key, 0), 0))
