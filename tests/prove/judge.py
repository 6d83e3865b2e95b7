"""What came of a schedule: counted at the service, by what the shop told and by what the ledger believes."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.states import DocumentState
from syncd.sandbox.billpt import FaultKind
from syncd.sandbox.billpt.records import Document
from syncd.store import attempts, documents
from syncd.store.codec import load_draft
from syncd.store.tables import attempt
from syncd.store.tables import document as ledger
from tests.prove.stories import Story
from tests.prove.world import BUDGET_WAIT, DEATH, SETTLE, TIMEOUT_SECONDS, World

SALES = frozenset({"FT", "FR", "FS"})
LOOKING = ("verify", "lookup")
PATIENCE = timedelta(seconds=TIMEOUT_SECONDS)


class Trouble(StrEnum):
    """What came between the end of the settle time and the proof; of several, the first."""

    KILLED = "the process was killed"
    LOOKUP = "a look-up met a fault"
    OTHER = "another document's request met a fault"
    BUDGET = "the request budget was spent"
    NONE = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One unknown outcome from its beginning to the proof: `late` is how long after the settle time that came."""

    late: float
    requests: int
    trouble: Trouble
    found: bool


@dataclass(slots=True)
class Result:
    """What came of a schedule; `wrong` says what should not be, in words."""

    seed: int
    missing: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    amounts: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    drafts_left: int = 0
    purposes: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return [*self.missing, *self.duplicate, *self.amounts, *self.other]

    @property
    def documents(self) -> int:
        return self.kinds.total()


async def judge(world: World, stories: list[Story], log: Iterable[Mapping[str, Any]], result: Result) -> None:
    """Everything there is to say, once all is at peace."""
    result.orders = len(stories)
    async with world.open_ledger().read() as connection:
        by_order = await _documents_of_orders(connection, world, result)
        result.purposes = Counter(await attempts.per_purpose(connection))
        result.recoveries = [found async for found in _recoveries(connection, log)]
    emulator = world.stage.emulator
    books = emulator.account.books.all.values()
    living = [document for document in books if document.final and not document.annulled]
    known = {document.id for found in by_order.values() for document in found}
    result.duplicate += [f"{d.number} at the service is not the ledger's" for d in living if d.id not in known]
    result.drafts_left = sum(not document.final for document in books)
    result.kinds = Counter(document.kind.tag for document in living)
    for story in stories:
        _judge_order(story, by_order[story.order_id], result)
    if emulator.limiter.refused:
        result.other.append(f"{emulator.limiter.refused} requests over the limit")
    hits = emulator.faults.hits
    result.met += Counter({_name(kind): number for kind, number in hits.items()})
    result.met += world.stage.met + world.network.met


async def _documents_of_orders(connection: AsyncConnection, world: World, result: Result) -> dict[str, list[Document]]:
    """The living final documents at the service by order, told by the markers that each was sent with."""
    found: dict[str, list[Document]] = defaultdict(list)
    for row in (await connection.execute(sa.select(ledger))).all():
        markers = await documents.markers(connection, row.id)
        living = [d for marker in markers for d in world.stage.emulator.marked(marker) if d.final and not d.annulled]
        found[row.order_id] += living
        if row.state == DocumentState.WITHDRAWN.value and not living:
            continue
        if row.state != DocumentState.ISSUED.value or row.hold_code:
            result.other.append(f"{row.key} is {row.state} {row.hold_code} {row.hold_message}")
        if not living:
            result.missing.append(f"{row.key} does not exist")
        elif len(living) > 1:
            result.duplicate.append(f"{row.key} exists {len(living)} times")
        elif living[0].sums.gross != load_draft(row.draft).totals.gross:
            result.amounts.append(f"{row.key} is {living[0].sums.gross} at the service")
        elif living[0].number != row.number:
            result.other.append(f"{row.key} is {living[0].number} at the service, {row.number} in the ledger")
    return found


def _judge_order(story: Story, found: list[Document], result: Result) -> None:
    """By what the shop told, without asking the ledger."""
    sales = [d.sums.gross for d in found if d.kind.tag in SALES]
    credited = [d.sums.gross for d in found if d.kind.tag == "NC"]
    receipts = [d.sums.gross for d in found if d.kind.tag == "RC"]
    if story.cancelled and not found:
        return  # cancelled before anything was due
    told = f"order {story.order_id} of {story.total}, kept {story.kept}"
    if not sales:
        result.missing.append(f"{told}: no sale")
    elif len(sales) > 1:
        result.duplicate.append(f"{told}: {len(sales)} sales")
    elif sales != [story.total] or story.total - sum(credited, Decimal()) != story.kept:
        result.amounts.append(f"{told}: {sales} less {credited}")
    if any(d.kind.tag == "FT" for d in found) and story.kept == story.total and receipts != [story.total]:
        result.amounts.append(f"{told}: receipts of {receipts}")


async def _recoveries(connection: AsyncConnection, log: Iterable[Mapping[str, Any]]) -> AsyncIterator[Recovery]:
    """From the program's log and its journal of requests."""
    ids = {row.key: row.id for row in await connection.execute(sa.select(ledger.c.id, ledger.c.key))}
    asked = (await connection.execute(sa.select(attempt))).all()
    log = list(log)
    since: dict[str, Any] = {}
    for entry in log:
        for key in _unknown_now(entry):
            since.setdefault(key, entry["at"])
        key = entry.get("document", "")
        if key not in since or not _settles(entry):
            continue
        begun, ended = since.pop(key), entry["at"]
        spent = [
            row
            for row in asked
            if begun < row.sent_at <= ended and row.document_id == ids.get(key) and row.purpose in LOOKING
        ]
        if not spent:
            continue  # it was found out before it was even lost
        due = begun + SETTLE
        waits = {each["event"] for each in log if due <= each["at"] <= ended}
        # What hangs or fails shortly before keeps the account waiting as well.
        others = [row for row in asked if due - PATIENCE < row.sent_at <= ended]
        yield Recovery(
            late=(ended - due).total_seconds(),
            requests=len(spent),
            trouble=_trouble(waits, spent, others),
            found=entry["event"] == "document.done",
        )


def _trouble(waits: set[str], spent: Iterable[sa.Row[Any]], others: Iterable[sa.Row[Any]]) -> Trouble:
    if DEATH in waits:
        return Trouble.KILLED
    if any(map(_failed, spent)):
        return Trouble.LOOKUP
    if any(map(_failed, others)):
        return Trouble.OTHER
    return Trouble.BUDGET if BUDGET_WAIT in waits else Trouble.NONE


def _failed(sent: sa.Row[Any]) -> bool:
    return sent.outcome != "answered" or sent.status is None or sent.status >= 300


def _unknown_now(entry: Mapping[str, Any]) -> list[str]:
    if entry["event"] == "dispatcher.taken_over":
        return [key for key, state in entry["documents"] if state is DocumentState.UNCERTAIN]
    if entry["event"] == "document.not_done" and entry["state"] == DocumentState.UNCERTAIN:
        return [entry["document"]]
    return []


def _settles(entry: Mapping[str, Any]) -> bool:
    """Found and adopted, or certainly absent."""
    found: bool = entry["event"] == "document.done"
    absent: bool = entry["event"] == "document.not_done" and entry["state"] == DocumentState.PLANNED
    return found or absent


def _name(kind: FaultKind) -> str:
    return {
        FaultKind.REFUSE: "token refused once",
        FaultKind.TOO_MANY: "429",
        FaultKind.ERROR_BEFORE: "500 before the effect",
        FaultKind.ERROR_AFTER: "500 after the commit",
        FaultKind.SLOW_BEFORE: "late, and the effect too",
        FaultKind.SLOW_AFTER: "late after the commit",
        FaultKind.LOSE_ANSWER: "answer lost",
        FaultKind.TRUNCATE: "answer truncated",
        FaultKind.HTML: "a page instead of the answer",
        FaultKind.LAG: "new document not visible yet",
    }[kind]
