"""An account's own records at its service (series, taxes, contacts, articles), as far as they are known here."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.document import DocumentDraft, IssuedDocument
from syncd.store.engine import Database, insert
from syncd.store.tables import reference

# Built once: there are five of these reads to a request, and building one takes longer than running it.
_ALL = sa.select(reference.c.code, reference.c.value).where(
    reference.c.account == sa.bindparam("account"), reference.c.kind == sa.bindparam("kind")
)
_SOME = _ALL.where(reference.c.code.in_(sa.bindparam("codes", expanding=True)))


class LedgerDirectory:
    """`providers.port.Directory` for one account.

    It keeps nothing in memory: a read costs a fraction of a millisecond against half a second of budget for a request,
    and so neither another instance nor another process can leave something stale here.
    """

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    async def get(self, kind: str, codes: tuple[str, ...]) -> Mapping[str, str]:
        """The ids known for these codes; unknown ones are left out."""
        if not codes:
            return {}
        async with self._database.read() as conn:
            return await _entries(conn, _SOME, account=self._account, kind=kind, codes=codes)

    async def table(self, kind: str) -> Mapping[str, str]:
        """All entries of a kind, empty if it was never read."""
        async with self._database.read() as conn:
            return await table(conn, self._account, kind)

    async def replace(self, kind: str, entries: Mapping[str, str]) -> None:
        """Store a list anew, all of it or nothing."""
        async with self._database.write() as conn:
            await forget(conn, self._account, (kind,))
            await put_many(conn, self._account, kind, entries)


async def table(conn: AsyncConnection, account: str, kind: str) -> Mapping[str, str]:
    """The same inside a transaction."""
    return await _entries(conn, _ALL, account=account, kind=kind)


async def put_many(conn: AsyncConnection, account: str, kind: str, entries: Mapping[str, str]) -> None:
    """Add or correct entries, for example the ids that an answer told."""
    if not entries:
        return
    now = datetime.now(UTC)
    # Sorted, so that two transactions take their locks in the same sequence.
    rows = [
        {"account": account, "kind": kind, "code": code, "value": value, "updated_at": now}
        for code, value in sorted(entries.items())
    ]
    statement = insert(conn, reference)
    given = statement.excluded
    changed = reference.c.value != given.value
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "kind", "code"],
            set_={"value": given.value, "updated_at": given.updated_at},
            where=changed,
        ),
        rows,
    )


async def forget(conn: AsyncConnection, account: str, kinds: Iterable[str]) -> None:
    """These lists are no longer true: they are read again when next needed."""
    await conn.execute(
        sa.delete(reference).where(reference.c.account == account, reference.c.kind.in_(sorted(set(kinds))))
    )


async def forget_one(conn: AsyncConnection, account: str, kind: str, code: str) -> None:
    """One entry is no longer true."""
    own = (reference.c.account == account) & (reference.c.kind == kind) & (reference.c.code == code)
    await conn.execute(sa.delete(reference).where(own))


async def _entries(
    conn: AsyncConnection, query: sa.Select[tuple[str, str]], **given: str | tuple[str, ...]
) -> Mapping[str, str]:
    return {row.code: row.value for row in await conn.execute(query, given)}


async def learn(conn: AsyncConnection, account: str, draft: DocumentDraft, issued: IssuedDocument) -> None:
    """Keep the service's ids: known customers and articles go by id, and a search finds them."""
    customer = draft.customer
    if issued.customer_id:
        await put_many(conn, account, "customer", {customer.code: issued.customer_id})
    if issued.customer_name and customer.code:
        await put_many(conn, account, "customer_name", {customer.code: issued.customer_name})
    articles = {
        line.code: answered.article_id
        for line, answered in zip(draft.lines, issued.lines, strict=False)
        if answered.article_id and not draft.references
    }
    await put_many(conn, account, "article", articles)
