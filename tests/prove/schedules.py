"""One seeded schedule: orders told, time passed, exchanges mistreated and processes killed, all at random."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import structlog
from structlog.testing import capture_logs

from syncd.domain.states import DocumentState
from syncd.mapping.policy import PaidDocument
from syncd.sandbox.billpt import Fault, FaultKind, RateMode, Settings
from syncd.store import documents, looks, orders
from tests.prove.clock import the_loop
from tests.prove.fate import Fate, Killed
from tests.prove.judge import Result, judge
from tests.prove.stories import Story, a_desk, a_story
from tests.prove.wire import Mishap
from tests.prove.world import Process, World, a_world

# Together with the time-out shorter than the settle time, or a search proves nothing.
LATEST, LONGEST_LAG = 40, 15
PATIENCE = timedelta(hours=2)
WORK = "/api/1.0/*"
ISSUING = "/api/1.0/documentos"
BAD_TOKEN = {"code": "208", "status": 401}
# So many schedules begin with an account that has been in use; in the others the first documents prove their shapes.
IN_USE = 0.7
# Most lives are short, so that there are many beginnings; a few thousand steps issue several documents.
SHORTEST_LIFE, LONGEST_LIFE = 5, 4000


async def run(seed: int, ledger_url: str) -> Result:
    """Play the schedule of this seed on an empty ledger, and compare what the service has with what it should."""
    chance = random.Random(seed)
    paid = chance.choice((PaidDocument.FR, PaidDocument.FR, PaidDocument.FT_RC))
    desk = a_desk(paid, unpaid_document=paid is PaidDocument.FT_RC and chance.random() < 0.5)
    settings = Settings(rate_limit=chance.choice((100, 100, 15)), rate_mode=chance.choice(list(RateMode)))
    result = Result(seed)
    with capture_logs(processors=[_stamp]) as log:
        async with a_world(ledger_url, desk, seed=seed, settings=settings) as world:
            if chance.random() < IN_USE:
                await world.be_in_use()
            since = the_loop().now() - timedelta(hours=1)
            stories = [a_story(number, chance, since) for number in range(1, chance.randint(1, 3) + 1)]
            world.stage.emulator.faults.add(*_faults(chance))
            world.network.probability = chance.choice((0.1, 0.3, 0.6))
            world.network.mishaps = Counter(chance.choices(list(Mishap), k=chance.randint(0, 4)))
            await _disturbed(world, stories, chance, result)
            world.stage.emulator.faults.clear()
            world.network.mishaps.clear()
            await _in_peace(world, result)
            await judge(world, stories, log, result)
    result.log = log
    return result


def _faults(chance: random.Random) -> Iterator[Fault]:
    for kind in chance.sample(list(FaultKind), chance.randint(1, 5)):
        seconds = {
            FaultKind.LAG: chance.randint(1, LONGEST_LAG),
            FaultKind.SLOW_BEFORE: chance.randint(5, LATEST),
            FaultKind.SLOW_AFTER: chance.randint(5, LATEST),
        }.get(kind, 0)
        refused: dict[str, Any] = BAD_TOKEN if kind is FaultKind.REFUSE else {}
        yield Fault(
            kind=kind,
            times=1 if refused else chance.randint(1, 4),
            probability=chance.choice((0.1, 0.3, 0.6, 1.0)),
            method="POST" if kind is FaultKind.LAG else chance.choice(("POST", "POST", "")),
            path=chance.choice((ISSUING, WORK)),
            seconds=seconds,
            **refused,
        )


async def _disturbed(world: World, stories: list[Story], chance: random.Random, result: Result) -> None:
    """All that shops tell, in a random order and often twice, while processes come and go."""
    told = [
        (story, state) for story in stories for state in range(len(story.states)) for _ in range(chance.randint(1, 3))
    ]
    chance.shuffle(told)
    result.met["webhooks doubled"] = len(told) - sum(len(story.states) for story in stories)
    while told:
        steps = round(SHORTEST_LIFE * (LONGEST_LIFE / SHORTEST_LIFE) ** chance.random())
        fate = chance.choice((Fate(), Fate(steps), Fate(steps), Fate(requests=chance.randint(1, 8))))
        async with world.process(fate) as process:
            try:
                await _live(process, told, chance)
            except* Killed:
                pass
            except* Exception:
                if not fate.dead:  # else it is what death looks like from inside
                    raise
        if fate.dead:
            result.met["killed"] += 1
            await asyncio.sleep(chance.choice((0, 1, 5)))


async def _live(process: Process, told: list[tuple[Story, int]], chance: random.Random) -> None:
    """Some webhooks, some time, and a drain unless death comes first."""
    async with process.at_work() as tasks:
        answers = []
        for _ in range(chance.randint(2, 10)):
            if told and chance.random() < 0.7:
                answers.append(tasks.create_task(process.live(_tell, process, told)))
            await asyncio.sleep(chance.choice((0, 0.001, 0.2, 1, 5, 20, 60)))
        await asyncio.gather(*answers)


async def _tell(process: Process, told: list[tuple[Story, int]]) -> None:
    story, state = told.pop()
    try:
        await process.door.put(story.incoming(state, the_loop().now()))
    except BaseException:
        told.append((story, state))  # a shop that got no answer tells it again
        raise


async def _in_peace(world: World, result: Result) -> None:
    """No more trouble: everything that is due must come to its end."""
    deadline = the_loop().now() + PATIENCE
    async with world.process() as process, process.at_work():
        while not await _is_done(process):
            if the_loop().now() > deadline:
                result.wrong.append(f"still not done after {PATIENCE}")
                return
            due = await world.next_due()
            # Nothing is foreseen while something is planned, sent, or held; what is held ends this with the deadline.
            await asyncio.sleep(max(1.0, (due - the_loop().now()).total_seconds()) if due else 20.0)


async def _is_done(process: Process) -> bool:
    async with process.database.read() as connection:
        counts = await documents.counts(connection)
        unplanned = await orders.due(connection, the_loop().now(), 1)
    on_the_way = ("waiting", "planned", "issuing", "uncertain")
    if unplanned or any(counts[DocumentState(state)] for state in on_the_way):
        return False
    async with process.database.read() as connection:
        return not await looks.waiting(connection, "main")


def _stamp(_: Any, __: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    entry["at"] = the_loop().now()
    return entry
