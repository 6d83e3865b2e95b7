"""The documents of each order: what should exist, and what does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from syncd.domain.document import DocumentDraft, DocumentKey, DocumentKind, IssuedDocument
from syncd.domain.hold import Hold
from syncd.domain.states import UNSENT, DocumentState, Purpose
from syncd.mapping.deadlines import deadline_of
from syncd.mapping.known import KnownDocument
from syncd.store import orders
from syncd.store.claims import Claimed, Claimer, highest_provider_id, new_marker, stranded, wait_anew
from syncd.store.codec import dump_draft, dump_issued, load_draft, load_issued
from syncd.store.engine import insert
from syncd.store.tables import attempt, document
from syncd.store.types import hold_columns, hold_of

__all__ = [
    "KNOWN",
    "Claimed",
    "Claimer",
    "DocumentRow",
    "counts",
    "highest_provider_id",
    "known",
    "known_of",
    "markers",
    "new_marker",
    "newest",
    "of_order",
    "originals",
    "put",
    "queue",
    "queue_age",
    "record_issued",
    "record_outcome",
    "release",
    "stranded",
    "wait_anew",
    "withdraw",
]


def _in(*states: DocumentState) -> sa.ColumnElement[bool]:
    # Not IN: SQLAlchemy cannot use its expanding parameter in a statement for many rows.
    return sa.or_(*(document.c.state == state.value for state in states))


# Certainly not at the service, so that it may change. A document with an id there is, whatever its state says.
_REPLACEABLE = _in(*sorted(UNSENT)) & (document.c.provider_id == "")
_ON_THE_WAY = _in(DocumentState.ISSUING, DocumentState.UNCERTAIN)
# Written out: a bound value would keep the partial index from being used.
_WAITING = document.c.state == sa.literal_column("'waiting'")
_PLANNED = document.c.state == sa.literal_column("'planned'")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document as the ledger shows it; amounts and numbers are those of the service, None or "" until issued."""

    id: int
    key: str
    account: str
    kind: str
    part: str
    state: DocumentState
    lane: int
    due_at: datetime
    run_at: datetime
    deadline_at: datetime | None
    attempts: int
    provider_id: str
    number: str
    net: Decimal | None
    tax: Decimal | None
    gross: Decimal | None
    issued_at: datetime | None
    hold: Hold | None
    changed_at: datetime

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        values = row._mapping  # noqa: SLF001 - public in spite of its name
        plain = {name: values[name] for name in cls.__slots__ if name not in {"state", "hold"}}
        return cls(state=DocumentState(row.state), hold=hold_of(row), **plain)


async def known(conn: AsyncConnection, shop: str, order_id: str) -> tuple[KnownDocument, ...]:
    """What the planner needs of an order's documents, the oldest first."""
    found = await conn.execute(_of_order(shop, order_id).with_only_columns(*KNOWN))
    return tuple(known_of(row) for row in found)


_TELLING = (attempt.c.document_id == document.c.id) & (attempt.c.purpose == Purpose.WRITE_BACK.value)
KNOWN = (
    *(document.c[name] for name in ("account", "shop", "order_id", "kind", "part", "state", "draft")),
    document.c.issued_at,
    document.c.annul_refused,
    sa.exists().where(_TELLING).correlate(document).label("told_of"),
)


def known_of(row: sa.Row[Any]) -> KnownDocument:
    """A row of the columns `KNOWN`."""
    return KnownDocument(
        key=DocumentKey(row.account, row.shop, row.order_id, DocumentKind(row.kind), row.part),
        state=DocumentState(row.state),
        draft=load_draft(row.draft),
        issued_at=row.issued_at,
        told_of=bool(row.told_of),
        annul_refused=row.annul_refused,
    )


async def of_order(conn: AsyncConnection, shop: str, order_id: str) -> list[DocumentRow]:
    """An order's documents, the oldest first."""
    return [DocumentRow.of(row) for row in await conn.execute(_of_order(shop, order_id))]


async def put(conn: AsyncConnection, drafts: Sequence[DocumentDraft], *, lane: int, now: datetime) -> frozenset[str]:
    """Have these documents issued; returns the keys of those that are new or changed.

    One cause (shop, order, part) has one document for ever: its content, kind and account are replaced as long as the
    service has certainly not been given it, and never afterwards. A held one is due again only with other content. A
    document whose original is not issued yet waits for it.
    """
    if not drafts:
        return frozenset()
    await orders.lock_all(conn, {(draft.key.shop, draft.key.order_id) for draft in drafts})
    issued = await _issued_keys(conn, {str(reference.key) for draft in drafts for reference in draft.references})
    rows = [_row(draft, issued, lane, now) for draft in drafts]
    return frozenset((await conn.execute(_upsert(conn), rows)).scalars())


async def withdraw(conn: AsyncConnection, keys: Iterable[DocumentKey], *, now: datetime) -> frozenset[str]:
    """These documents are no longer due; returns the keys of those that could still be withdrawn."""
    wanted = list(keys)
    await orders.lock_all(conn, {(key.shop, key.order_id) for key in wanted})
    living = document.c.state != DocumentState.WITHDRAWN.value
    statement = (
        sa.update(document)
        .where(document.c.key.in_([str(key) for key in wanted]), _REPLACEABLE, living)
        .values(state=DocumentState.WITHDRAWN.value, changed_at=now, **hold_columns(None))
    )
    return frozenset((await conn.execute(statement.returning(document.c.key))).scalars())


async def release(conn: AsyncConnection, shop: str, order_id: str, *, now: datetime) -> int:
    """A person settled what held this order's documents: held ones are due at once, uncertain ones looked for again.

    An issued document only loses its hold. Returns how many were held.
    """
    await orders.lock_all(conn, [(shop, order_id)])
    again = _REPLACEABLE & (document.c.state == DocumentState.HELD.value)
    statement = (
        sa.update(document)
        .where(document.c.shop == shop, document.c.order_id == order_id)
        .where((document.c.state == DocumentState.HELD.value) | (document.c.hold_code != ""))
        .values(
            state=sa.case((again, DocumentState.PLANNED.value), else_=document.c.state),
            lane=0,
            run_at=now,
            changed_at=now,
            **hold_columns(None),
        )
    )
    return (await conn.execute(statement)).rowcount


async def record_issued(
    conn: AsyncConnection, document_id: int, issued: IssuedDocument, *, now: datetime, hold: Hold | None = None
) -> None:
    """The service has it. `hold` if it is not what was planned; what waited for it is due now.

    A second document for the same row is a duplicate at the service: the first is kept and the order held.
    """
    row = await _locked(conn, document_id)
    if row.issued and row.provider_id != issued.provider_id:
        await conn.execute(_change(document_id, **hold_columns(_twice(row.number, issued)), changed_at=now))
        return
    await conn.execute(
        _change(
            document_id,
            state=DocumentState.ISSUED.value,
            issued=dump_issued(issued),
            provider_id=issued.provider_id,
            number=issued.number,
            net=issued.totals.net,
            tax=issued.totals.tax,
            gross=issued.totals.gross,
            issued_at=row.issued_at or now,
            changed_at=now,
            **hold_columns(hold),
        )
    )
    await _wake(conn, row.key, now)


async def record_outcome(
    conn: AsyncConnection,
    document_id: int,
    state: DocumentState,
    *,
    run_at: datetime,
    hold: Hold | None = None,
    now: datetime,
    marker: str | None = None,
) -> bool:
    """What became of an attempt that issued nothing for certain; False if the document is no longer on its way.

    With `marker`, False also if another attempt has begun since: somebody who lost the account changes nothing.
    """
    row = await _locked(conn, document_id)
    statement = _change(document_id, state=state.value, run_at=run_at, changed_at=now, **hold_columns(hold))
    if marker is not None and row.marker != marker:
        return False
    return (await conn.execute(statement.where(_ON_THE_WAY))).rowcount > 0


async def markers(conn: AsyncConnection, document_id: int) -> frozenset[str]:
    """Every marker that the document may carry at the service."""
    current = sa.select(document.c.marker).where(document.c.id == document_id)
    earlier = sa.select(attempt.c.marker).where(attempt.c.document_id == document_id)
    return frozenset((await conn.execute(current.union(earlier))).scalars()) - {""}


async def originals(conn: AsyncConnection, keys: Iterable[DocumentKey]) -> Mapping[DocumentKey, IssuedDocument]:
    """Those of these documents that are issued."""
    by_text = {str(key): key for key in keys}
    query = sa.select(document.c.key, document.c.issued)
    found = await conn.execute(query.where(document.c.key.in_(list(by_text)), document.c.issued.is_not(None)))
    return {by_text[row.key]: load_issued(row.issued) for row in found}


async def counts(conn: AsyncConnection) -> dict[DocumentState, int]:
    """How many documents stand in each state; every state is named."""
    query = sa.select(document.c.state, sa.func.count()).group_by(document.c.state)
    found = {DocumentState(state): count for state, count in await conn.execute(query)}
    return dict.fromkeys(DocumentState, 0) | found


async def newest(conn: AsyncConnection) -> int:
    """The highest row id so far, 0 if there is none: whether it has risen tells of new documents."""
    return (await conn.execute(sa.select(sa.func.max(document.c.id)))).scalar_one() or 0


async def queue(conn: AsyncConnection) -> Mapping[str, Mapping[DocumentState, int]]:
    """By account, how many documents are on their way in each state; what waits for its original is left out."""
    found: dict[str, dict[DocumentState, int]] = {}
    for state in (DocumentState.PLANNED, DocumentState.ISSUING, DocumentState.UNCERTAIN):
        # Written out, as above: each state has its own small index.
        own = document.c.state == sa.literal_column(f"'{state.value}'")
        query = sa.select(document.c.account, sa.func.count()).where(own).group_by(document.c.account)
        for account, count in await conn.execute(query):
            found.setdefault(account, {})[state] = count
    return found


async def queue_age(conn: AsyncConnection, now: datetime) -> float:
    """For how many seconds the oldest planned document has been due; 0 if none is."""
    oldest = sa.select(sa.func.min(document.c.run_at, type_=document.c.run_at.type)).where(_PLANNED)
    run_at: datetime | None = (await conn.execute(oldest)).scalar_one()
    return max(0.0, (now - run_at).total_seconds()) if run_at else 0.0


def _of_order(shop: str, order_id: str) -> sa.Select[Any]:
    own = (document.c.shop == shop) & (document.c.order_id == order_id)
    return sa.select(document).where(own).order_by(document.c.id)


def _change(document_id: int, **values: object) -> sa.Update:
    return sa.update(document).where(document.c.id == document_id).values(**values)


async def _locked(conn: AsyncConnection, document_id: int) -> sa.Row[Any]:
    """The document, after its order: planning and recording take their locks in the same sequence."""
    whose = sa.select(document.c.shop, document.c.order_id).where(document.c.id == document_id)
    shop, order_id = (await conn.execute(whose)).one()
    await orders.lock_all(conn, [(shop, order_id)])
    return (await conn.execute(sa.select(document).where(document.c.id == document_id))).one()


async def _issued_keys(conn: AsyncConnection, keys: Iterable[str]) -> frozenset[str]:
    query = sa.select(document.c.key).where(document.c.key.in_(list(keys)))
    return frozenset((await conn.execute(query.where(document.c.issued.is_not(None)))).scalars())


def _blocking(draft: DocumentDraft, issued: frozenset[str]) -> str:
    """The first document that must be issued before this one, "" if none."""
    return next((str(reference.key) for reference in draft.references if str(reference.key) not in issued), "")


def _row(draft: DocumentDraft, issued: frozenset[str], lane: int, now: datetime) -> dict[str, Any]:
    key, blocking = draft.key, _blocking(draft, issued)
    return {
        "key": str(key),
        "account": key.account,
        "shop": key.shop,
        "order_id": key.order_id,
        "kind": key.kind.value,
        "part": key.part,
        "state": (DocumentState.WAITING if blocking else DocumentState.PLANNED).value,
        "lane": lane,
        "due_at": draft.due_at,
        "run_at": draft.due_at,
        "deadline_at": deadline_of(draft).ends_at,
        "draft": dump_draft(draft),
        "original_key": blocking,
        "marker": "",
        "attempts": 0,
        "floor": "",
        "provider_id": "",
        "number": "",
        "created_at": now,
        "changed_at": now,
        **hold_columns(None),
    }


def _upsert(conn: AsyncConnection) -> ReturningInsert[Any]:
    stored = document.c
    statement = insert(conn, document)
    given = statement.excluded
    due = _in(DocumentState.PLANNED, DocumentState.WAITING)
    moved = due & ((stored.lane > given.lane) | (stored.state != given.state))
    withdrawn = stored.state == DocumentState.WITHDRAWN.value
    renewed = {
        name: given[name] for name in ("key", "account", "kind", "state", "due_at", "run_at", "deadline_at", "draft")
    }
    return statement.on_conflict_do_update(
        index_elements=["shop", "order_id", "part"],
        set_={
            **renewed,
            "original_key": given.original_key,
            "lane": sa.case((given.lane < stored.lane, given.lane), else_=stored.lane),
            # Ids of another account say nothing of where to look.
            "floor": sa.case((stored.account == given.account, stored.floor), else_=""),
            "changed_at": given.changed_at,
            **hold_columns(None),
        },
        where=_REPLACEABLE & ((stored.draft != given.draft) | withdrawn | moved),
    ).returning(document.c.key)


async def _wake(conn: AsyncConnection, original_key: str, now: datetime) -> None:
    """What waited for this document is due, or waits for the next one that it refers to."""
    waiting = sa.select(document.c.id, document.c.draft).where(document.c.original_key == original_key, _WAITING)
    for row in (await conn.execute(waiting)).all():
        draft = load_draft(row.draft)
        blocking = _blocking(draft, await _issued_keys(conn, [str(reference.key) for reference in draft.references]))
        state = DocumentState.WAITING if blocking else DocumentState.PLANNED
        await conn.execute(_change(row.id, state=state.value, original_key=blocking, changed_at=now))


def _twice(number: str, other: IssuedDocument) -> Hold:
    return Hold(
        code="issued_twice",
        message=f"the service has both {number} and {other.number} (id {other.provider_id}) for this document",
        fix=f"annul or credit {other.number} at the service, then release the order",
    )
