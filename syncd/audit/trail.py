"""`syncd audit --trail`: every order's chain, and every row that it tells of.

Orders are read a page at a time, each page in one snapshot, so that a million entries fit into little memory and a
daemon at work changes nothing under the audit's hands.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.facts import FactKind
from syncd.domain.states import DocumentState
from syncd.store import chain, events, trail
from syncd.store.engine import Database
from syncd.store.tables import attempt, document, event, shop_order
from syncd.store.tables import trail as entries_table

PAGE = 200
_ISSUED = frozenset({trail.ISSUED, trail.ADOPTED, trail.SURFACED_LATE})
_TOLD_OF_REQUESTS = ("purpose", "label", "marker", "sent_at", "answered_at", "status", "outcome")
_REQUEST_COLUMNS = (attempt.c.id, *(attempt.c[name] for name in _TOLD_OF_REQUESTS))
_SHOWN = ("number", "provider_id", "net", "tax", "gross")

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One thing that is not as it was told. `entry` is its place in the order's trail, 0 for none."""

    shop: str
    order_id: str
    entry: int
    code: str
    message: str


@dataclass(slots=True)
class Story:
    """An order's trail and the rows that it tells of; `length` and `head` are what the order's row says of it."""

    shop: str
    order_id: str
    length: int | None = None
    head: str = ""
    entries: list[sa.Row[Any]] = field(default_factory=list)
    events: dict[str, str] = field(default_factory=dict)  # prints by id
    altered: list[str] = field(default_factory=list)  # events whose payload is not what their digest says
    requests: dict[int, sa.Row[Any]] = field(default_factory=dict)
    documents: list[sa.Row[Any]] = field(default_factory=list)

    @property
    def place(self) -> dict[str, object]:
        """Where its trail ends."""
        return {"shop": self.shop, "order_id": self.order_id, "seq": self.length, "head": self.head}

    def breaks(self) -> Iterator[Break]:
        """All that is wrong with it, none for a whole one."""
        if self.length is None and not self.documents and not self.entries:
            return  # events that no order is known of yet
        yield from self._chain()
        for event_id in self.altered:
            yield self._break(0, "event_changed", f"the payload of event {event_id} is not what was received")
        for entry in self.entries:
            yield from self._events(entry)
            if entry.action == trail.REQUEST:
                yield from self._request(entry)
        for row in self.documents:
            yield from self._document(row)
            yield from self._annulment(row)

    def _chain(self) -> Iterator[Break]:
        head, place = "", 0
        previous_id = 0
        for entry in self.entries:
            if entry.seq != place + 1:
                gone = f"{place + 1}" if entry.seq == place + 2 else f"{place + 1} to {entry.seq - 1}"
                yield self._break(place + 1, "entry_missing", f"entry {gone} is not there")
            elif entry.hash != chain.link(head, chain.canonical(_hashed(entry))):
                if entry.id < previous_id:
                    yield self._break(entry.seq, "entry_moved", f"entry {entry.seq} stands out of its order")
                else:
                    yield self._break(entry.seq, "entry_changed", f"entry {entry.seq} ({entry.action}) was changed")
            head, place, previous_id = entry.hash, entry.seq, entry.id
        if self.length is None:
            yield self._break(0, "order_missing", "the order itself is not in the ledger")
        elif place < self.length:
            yield self._break(place + 1, "entry_missing", f"the trail has {self.length} entries, and {place} are there")
        elif (place, head) != (self.length, self.head):
            yield self._break(place, "head_changed", "the trail does not end as the order's row says")

    def _events(self, entry: sa.Row[Any]) -> Iterator[Break]:
        for event_id, told in _table(entry.detail.get("events")).items():
            if event_id not in self.events:
                yield self._break(entry.seq, "event_missing", f"event {event_id} is not there")
            elif self.events[event_id] != told:
                yield self._break(entry.seq, "event_changed", f"event {event_id} was changed")

    def _request(self, entry: sa.Row[Any]) -> Iterator[Break]:
        number = entry.detail.get("attempt_id")
        row = self.requests.get(number)
        if row is None:
            yield self._break(entry.seq, "request_missing", f"request {number} is not there")
            return
        shown = row._asdict()
        for name in ("sent_at", "answered_at"):
            shown[name] = shown[name].isoformat() if shown[name] else None
        wrong = [name for name in _TOLD_OF_REQUESTS if shown[name] != entry.detail.get(name)]
        if wrong:
            yield self._break(entry.seq, "request_changed", f"{', '.join(wrong)} of request {number} was changed")

    def _document(self, row: sa.Row[Any]) -> Iterator[Break]:
        own = [entry for entry in self.entries if entry.action in _ISSUED and entry.document_key == row.key]
        drafts = {entry.detail["draft"] for entry in own if "draft" in entry.detail} | self._planned(row.key)
        if drafts and chain.sha256(row.draft) not in drafts:
            yield self._break(0, "document_changed", f"the content of {row.key} is not what was planned")
        if row.issued is None:
            if own:
                yield self._break(own[-1].seq, "document_changed", f"{row.key} was issued, and its row says it was not")
            return
        if not own:
            yield self._break(
                0, "document_untold", f"{row.key} is said to be issued, and the trail tells nothing of it"
            )
            return
        shown = {name: getattr(row, name) for name in _SHOWN} | {"issued": chain.sha256(row.issued)}
        wrong = [
            [name for name, value in shown.items() if name in entry.detail and not _same(entry.detail[name], value)]
            for entry in own
        ]
        if all(wrong):
            names = ", ".join("answer" if name == "issued" else name for name in min(wrong, key=len))
            yield self._break(own[-1].seq, "document_changed", f"{names} of {row.key} was changed")

    def _annulment(self, row: sa.Row[Any]) -> Iterator[Break]:
        """What was annulled stays so, and nothing is said to be that was not."""
        told = [entry for entry in self.entries if entry.action == trail.ANNULLED and entry.document_key == row.key]
        if bool(told) is not (row.state == DocumentState.ANNULLED.value):
            stands = "is said to be annulled, and the trail tells nothing of it" if not told else "was annulled"
            yield self._break(told[-1].seq if told else 0, "document_changed", f"{row.key} {stands}: it is {row.state}")

    def _planned(self, key: str) -> set[str]:
        """Prints of what was ever planned under this key."""
        told = (entry.detail.get("documents") for entry in self.entries if entry.action == trail.PLANNED)
        return {
            planned["draft"]
            for documents in told
            if isinstance(documents, list)
            for planned in documents
            if planned.get("key") == key and "draft" in planned
        }

    def _break(self, entry: int, code: str, message: str) -> Break:
        return Break(shop=self.shop, order_id=self.order_id, entry=entry, code=code, message=message)


class TrailAudit:
    """One walk over the whole ledger; `orders` and `entries` say how far it came."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heads = ""
        self.orders = 0
        self.entries = 0

    @property
    def anchor(self) -> str:
        """One hash over every order's head, for a copy outside the ledger; it changes with every entry."""
        return self._heads

    async def total(self) -> int:
        """How many entries there are."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.count()).select_from(entries_table))).scalar_one()

    async def breaks(self, count: Callable[[int], None] = lambda _: None) -> AsyncIterator[Break]:
        """Everything that is missing, changed or moved, order by order; `count` is told of each page's entries."""
        after: _Key | None = None
        while True:
            stories, last = await self._page(after)
            for story in stories:
                self.orders += story.length is not None
                self._heads = chain.link(self._heads, chain.canonical(story.place))
                self.entries += len(story.entries)
                for found in story.breaks():
                    yield found
            count(sum(len(story.entries) for story in stories))
            if last is None:
                return
            after = last

    async def _page(self, after: _Key | None) -> tuple[list[Story], _Key | None]:
        """The next orders, and everything between them: rows whose order was taken out as well."""
        async with self._database.snapshot() as connection:
            row = shop_order.c
            heads = sa.select(row.shop, row.order_id, row.trail_seq, row.trail_head)
            heads = heads.where(_between(shop_order, after, None)).order_by(row.shop, row.order_id).limit(PAGE)
            page = (await connection.execute(heads)).all()
            last = (page[-1].shop, page[-1].order_id) if len(page) == PAGE else None
            stories = _Stories()
            for found in page:
                story = stories[found.shop, found.order_id]
                story.length, story.head = found.trail_seq, found.trail_head
            await _fill(connection, stories, after, last)
        return list(stories.values()), last


class _Stories(dict[_Key, Story]):
    def __missing__(self, key: _Key) -> Story:
        story = self[key] = Story(*key)
        return story


async def _fill(connection: AsyncConnection, stories: _Stories, after: _Key | None, last: _Key | None) -> None:
    row = entries_table.c
    written = sa.select(entries_table).where(_between(entries_table, after, last))
    async for found in await connection.stream(written.order_by(row.shop, row.order_id, row.seq)):
        stories[found.shop, found.order_id].entries.append(found)
    kept = sa.select(event).where(_between(event, after, last), event.c.kind != "")
    async for found in await connection.stream(kept.order_by(event.c.shop, event.c.order_id)):
        story = stories[found.shop, found.order_id]
        story.events[found.id] = trail.event_print(found)
        fact = (FactKind(found.kind), found.order_id, found.part, found.version, found.rank)
        if events.digest_of(fact, found.payload) != found.digest:
            story.altered.append(found.id)
    made = sa.select(document).where(_between(document, after, last)).order_by(document.c.id)
    async for found in await connection.stream(made):
        stories[found.shop, found.order_id].documents.append(found)
    sent = (
        sa.select(*_REQUEST_COLUMNS, document.c.shop, document.c.order_id)
        .join(document, document.c.id == attempt.c.document_id)
        .where(_between(document, after, last))
    )
    async for found in await connection.stream(sent):
        stories[found.shop, found.order_id].requests[found.id] = found


def _between(table: sa.Table, after: _Key | None, last: _Key | None) -> sa.ColumnElement[bool]:
    """Orders behind `after` up to `last`, in the database's own order of texts."""
    key = sa.tuple_(table.c.shop, table.c.order_id)
    bounds: list[sa.ColumnElement[bool]] = [sa.true()]
    if after is not None:
        bounds.append(key > after)
    if last is not None:
        bounds.append(key <= last)
    return sa.and_(*bounds)


def _hashed(entry: sa.Row[Any]) -> dict[str, object]:
    return {name: getattr(entry, name) for name in trail.HASHED}


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _same(told: str, shown: str | Decimal | None) -> bool:
    """Whether a row shows what the trail tells; amounts have more decimals in a row."""
    return Decimal(told) == shown if isinstance(shown, Decimal) else told == shown
