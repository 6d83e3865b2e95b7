"""`syncd replay`: whether the installed version would have invoiced past orders otherwise.

Two questions to each order, both answered by the planner itself:

- *issued*: every document that the service may have is planned again from what its plan was made from: the same raw
  events, the documents that had gone out before it, the holds that a person had released. What is compared is the
  document that the service was given.
- *next*: what the daemon would do if the order were planned now, beside the documents that have gone out. Compared are
  the documents that wait, and the order's hold.

A later document builds on the earlier ones as they were issued, so that one difference is not told again in each
that follows. Nothing is written, and nobody is asked.
"""

import asyncio
import os
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd import __version__, logs
from syncd.app import policy_of
from syncd.dispatch.reconciler import Desk
from syncd.domain.errors import SyncdError
from syncd.domain.states import DocumentState
from syncd.mapping.differences import Change, Difference, differences
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import Policy, fingerprint
from syncd.providers.port import capabilities_of
from syncd.settings import Settings
from syncd.shops.port import ShopConfig, load_shop
from syncd.store import engine, histories
from syncd.store.engine import Database
from syncd.store.histories import History, Planned, Span

SPAN = 500  # orders that a process has in memory at once
AHEAD = 2  # spans that wait for each process


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A difference, where it shows (`issued` or `next`), and what caused it as far as that can be told."""

    when: str
    cause: str
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """An order that would be invoiced otherwise."""

    shop: str
    order_id: str
    number: str
    found: tuple[Found, ...]


@dataclass(slots=True)
class Replayed:
    """What came of a span, or of several: how many orders were planned, and how many of shops not in the settings."""

    orders: int = 0
    strangers: Counter[str] = field(default_factory=Counter)
    differing: list[Differing] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A shop as a process of its own can be told of it."""

    platform: str
    config: ShopConfig
    policy: Policy

    def desk(self) -> Desk:
        return Desk(shop=load_shop(self.platform)(self.config), policy=self.policy)


def fronts(settings: Settings) -> dict[str, Front]:
    """The shops of the settings, with the policies that hold now."""
    found = {}
    for name, own in settings.shops.items():
        config, able = settings.shop_config(name), capabilities_of(settings.accounts[own.account].provider)
        policy = policy_of(settings, name, able, load_shop(own.platform)(config))
        found[name] = Front(platform=own.platform, config=config, policy=policy)
    return found


async def report(settings: Settings, since: datetime, shop: str, *, json: bool) -> int:
    """Print every order that would be invoiced otherwise, as soon as it is found; 1 if there is any."""
    from syncd.terminal import progress, show_differing, show_replayed  # noqa: PLC0415 - rich is for people only

    if shop and shop not in settings.shops:
        raise SyncdError(f"no shop {shop!r} in the settings", fix=f"choose from {', '.join(sorted(settings.shops))}")
    _quiet()
    started, planned, strangers, differing = time.monotonic(), 0, Counter[str](), 0
    spans, count = await outline(settings.database.url, since, shop)
    with progress("planning again", count) as advance:
        async for replayed in replay(settings.database.url, fronts(settings), spans):
            for each in replayed.differing:
                told = differing_json(each)
                if json:
                    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
                    sys.stdout.flush()
                else:
                    show_differing(told)
            planned, strangers = planned + replayed.orders, strangers + replayed.strangers
            differing += len(replayed.differing)
            advance(replayed.orders + replayed.strangers.total())
    show_replayed(planned, differing, strangers, time.monotonic() - started)
    return 1 if differing or strangers else 0


def differing_json(differing: Differing) -> dict[str, Any]:
    """The object of `syncd replay --json`."""
    return {
        "shop": differing.shop,
        "order_id": differing.order_id,
        "order_number": differing.number,
        "differences": [
            {
                "when": found.when,
                "document": found.difference.document or None,
                "change": found.difference.change.value,
                "cause": found.cause,
                "because": found.difference.because,
                "figures": [
                    {"where": figure.where, "was": figure.was, "now": figure.now} for figure in found.difference.figures
                ],
            }
            for found in differing.found
        ],
    }


async def outline(url: str, since: datetime, shop: str) -> tuple[list[Span], int]:
    """The ledger's orders in spans, and their number. SyncdError if this version does not read its schema."""
    database = Database.open(url)
    try:
        revision = await engine.current(database)
        if revision != engine.head():
            raise SyncdError(
                f"the ledger's schema is {revision or 'empty'}, this version reads {engine.head()}",
                fix="run syncd db upgrade first, or replay a copy of the ledger",
            )
        async with database.read() as connection:
            return await histories.spans(connection, since, shop, SPAN)
    finally:
        await database.close()


async def replay(url: str, shops: Mapping[str, Front], spans: Iterable[Span]) -> AsyncIterator[Replayed]:
    """What each span comes to, in their order, worked out by as many processes as there are cores."""
    spans = list(spans)
    processes = min(len(os.sched_getaffinity(0)), len(spans))
    if processes < 2:
        for span in spans:
            yield await replay_span(url, shops, span)
        return
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_quiet) as pool:
        work = partial(_replay_span, url, shops)
        running: deque[asyncio.Future[Replayed]] = deque()
        try:
            for span in spans:
                running.append(loop.run_in_executor(pool, work, span))
                if len(running) > AHEAD * processes:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            for left in running:
                left.cancel()


def _quiet() -> None:
    """What planning logs would stand between the lines of the report, which tells the same."""
    logs.configure("critical", "console")


def _replay_span(url: str, shops: Mapping[str, Front], span: Span) -> Replayed:
    return asyncio.run(replay_span(url, shops, span))


async def replay_span(url: str, shops: Mapping[str, Front], span: Span) -> Replayed:
    """Read one span as it stands at one moment, then plan its orders again."""
    database = Database.open(url)
    try:
        async with database.read() as connection:
            await engine.one_moment(connection)
            stories = await histories.read(connection, span)
            return await _plan_again(connection, stories, shops)
    finally:
        await database.close()


async def _plan_again(connection: AsyncConnection, stories: Iterable[History], shops: Mapping[str, Front]) -> Replayed:
    # Once for all of them: a question for each order would cost more than planning it.
    desks = {name: await front.desk().informed(connection) for name, front in shops.items()}
    marks = {name: fingerprint(front.policy) for name, front in shops.items()}
    result = Replayed()
    for story in stories:
        row = story.row
        if row.shop not in desks:
            result.strangers[row.shop] += 1
            continue
        result.orders += 1
        found = [each async for each in _replay_order(connection, story, desks[row.shop], marks[row.shop])]
        if found:
            differing = Differing(shop=row.shop, order_id=row.order_id, number=row.number, found=tuple(found))
            result.differing.append(differing)
    return result


async def _replay_order(connection: AsyncConnection, story: History, desk: Desk, mark: str) -> AsyncIterator[Found]:
    """Both questions to one order; `mark` is the fingerprint of the policy."""
    told: set[str] = set()
    async for made, difference in _issued_again(connection, story, desk):
        told.add(difference.document)
        yield Found(when="issued", cause=_cause(made, mark), difference=difference)
    if not told and _at_rest(story):
        return
    last = story.plans[-1] if story.plans else None
    for difference in await _next(connection, story, desk):
        if not difference.document or difference.document not in told:
            yield Found(when="next", cause=_cause(last, mark), difference=difference)


async def _issued_again(
    connection: AsyncConnection, story: History, desk: Desk
) -> AsyncIterator[tuple[Planned | None, Difference]]:
    """The documents that the service may have, plan by plan: the last one that names a document is what it was sent by."""
    out = [document for document in story.documents if document.committed or document.annulled]
    named = {key: place for place, made in enumerate(story.plans) for key in made.documents}
    place_of = {document.key: named.get(str(document.key), -1) for document in out}
    for place in sorted(set(place_of.values())):
        made = story.plans[place] if place >= 0 else None
        had = {document.key.part: document.draft for document in out if place_of[document.key] == place}
        facts = story.facts(made.events, deleted=made.deleted) if made else None
        if made is None or facts is None:
            for draft in had.values():
                yield made, Difference(change=Change.UNTRACED, document=str(draft.key))
            continue
        before = [_then(document, story, place) for document in out if place_of[document.key] < place]
        _, plan, _ = await desk.decide(connection, facts, before, made.accepted)
        for difference in differences(had, made.holds, plan):
            # What the plan named as well, and what has become of it since, is the other question's.
            if difference.change is not Change.NEW or difference.document not in made.documents:
                yield made, difference


def _then(document: KnownDocument, story: History, place: int) -> KnownDocument:
    """A document as it was known when a plan was made: what was to be annulled later still stood."""
    wanted = [at for at, made in enumerate(story.plans) if str(document.key) in made.annulments]
    gone = document.annulled or document.state is DocumentState.ANNULLING
    stood = gone and bool(wanted) and wanted[-1] >= place
    return replace(document, state=DocumentState.ISSUED) if stood else document


def _at_rest(story: History) -> bool:
    """Whether the last plan was made from the newest state and all of it has gone out.

    If it comes out the same again, nothing is next: a plan that is applied changes nothing when it is made once more.
    """
    if not story.plans:
        return False
    last, row = story.plans[-1], story.row
    out = {str(document.key) for document in story.documents if document.committed or document.annulled}
    newest = (last.events, last.deleted, last.accepted) == (story.events, row.deleted, row.accepted)
    return newest and bool(last.documents) and last.documents <= out


async def _next(connection: AsyncConnection, story: History, desk: Desk) -> list[Difference]:
    """Nothing for an order that is to be planned anyway, or that a person decided to leave alone."""
    row = story.row
    facts = story.facts(story.events, deleted=row.deleted)
    if facts is None or row.plan_at is not None or row.skipped:
        return []
    _, plan, _ = await desk.decide(connection, facts, story.documents, row.accepted, asked_again_at=row.retried_at)
    if row.awaits in {need.key for need in plan.needs}:
        return []  # asked already, and the hold beside the question is only for where nobody can be asked
    unsent = (document for document in story.documents if not (document.committed or document.annulled))
    waiting = {document.key.part: document.draft for document in unsent}
    return list(differences(waiting, frozenset({row.hold.code} if row.hold else ()), plan))


def _cause(made: Planned | None, mark: str) -> str:
    if made is None:
        return "settings or program"
    if made.policy == mark:
        return "program"
    return "settings" if made.version == __version__ else "settings or program"
