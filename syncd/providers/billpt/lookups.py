"""Looking things up at Bill.pt: documents that may carry a marker, and records whose code is taken.

Which filters the service really applies is not known for all, and one that it ignores shows everybody's records. So
every answer is compared here again, and a search that could not be finished is an error, never "nothing found".
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from syncd.domain.customer import FINAL_CONSUMER_NIF, CustomerKind
from syncd.domain.document import DocumentDraft
from syncd.domain.errors import NoEffectError
from syncd.domain.money import CENT
from syncd.providers.billpt.answers import IncompleteAnswerError, Row, records_of, rows_of
from syncd.providers.billpt.bodies import CORRECTING, Ids
from syncd.providers.billpt.errors import CODE_TAKEN, TAX_ID_OF_ANOTHER_CUSTOMER, Code
from syncd.providers.port import Listed, Purpose, Search

FetchPage = Callable[[str, Mapping[str, str], Purpose], Awaitable[object]]

PAGE_SIZE = 20
# Beyond, the search is given up as undecided.
MOST_PAGES = 25
MOST_CODE_PAGES = 5
MOST_AUDITED_PAGES = 5_000
# This many newer documents of another amount are read all the same: a document whose amount came out wrong is ours too.
FEW = 2


# -- documents ---------------------------------------------------------------------------------------------------


def query_for(search: Search, *, document_type: str, series: str) -> dict[str, str]:
    """Filters for a lost document, newest first; drafts and final ones alike.

    Only a sale is sure to stand on the customer that is known now: a correction stands on its original's.
    """
    query = {"pesquisa[tipo_documento_id]": document_type, "pesquisa[order_by][system_entry_date]": "desc"}
    if customer := _customer_of(search):
        return query | {"pesquisa[contato_id]": customer}
    return query | ({"pesquisa[serie_id]": series} if series else {})


async def recent(search: Search, query: Mapping[str, str], fetch: FetchPage) -> list[Row]:
    """Documents that can be the lost one by age and customer, back to the newest that cannot."""
    found: list[Row] = []
    async for rows in _pages("documentos", query, fetch):
        found.extend(row for row in rows if _can_be(row, search))
        if _ends(rows, search):
            break
    return found


def candidates(rows: Sequence[Row], draft: DocumentDraft) -> tuple[list[Row], list[Row]]:
    """Those of exactly the expected amount, then those to read if none of them is it.

    The service's arithmetic may have come out by a cent a line; when there are only few others, all are read.
    """
    expected = draft.expected.gross
    tolerance = (len(draft.lines) + 3) * CENT
    exact = [row for row in rows if row.gross is None or row.gross == expected]
    others = [row for row in rows if row not in exact]
    near = [row for row in others if row.gross is not None and abs(row.gross - expected) <= tolerance]
    return exact, others if len(others) <= FEW else near


def _ends(rows: Sequence[Row], search: Search) -> bool:
    """Whether all pages behind this one are too old: it runs from new to old, and its second half is old already.

    Half a page, because documents of the same second may stand in any order.
    """
    tail = rows[-(PAGE_SIZE // 2) :]
    runs_down = len(rows) >= PAGE_SIZE and _order(rows[0].id) > _order(rows[-1].id)
    return runs_down and not any(_is_new(row, search) for row in tail)


async def issued_on(document_type: str, first: date, last: date, fetch: FetchPage) -> AsyncIterator[tuple[Listed, ...]]:
    """Final documents of a type and of these days. The service cannot search by day, so it is read from its newest on.

    What is issued meanwhile moves the rest down, so that a page may begin with what the one before ended with.
    """
    query = {
        "pesquisa[tipo_documento_id]": document_type,
        "pesquisa[terminado]": "1",
        "pesquisa[order_by][invoice_date]": "desc",
    }
    seen: set[str] = set()
    async for rows in _pages("documentos", query, fetch, Purpose.AUDIT, MOST_AUDITED_PAGES):
        days = [row.issued_on for row in rows if row.issued_on is not None]
        new = [row for row in rows if row.final and row.id not in seen]
        seen.update(row.id for row in rows)
        yield tuple(listed for row in new if (listed := _listed(row)) is not None and first <= listed.issued_on <= last)
        # Only where the order was obeyed is everything behind older still.
        if days and days == sorted(days, reverse=True) and days[-1] < first:
            return


def _listed(row: Row) -> Listed | None:
    if row.issued_on is None or row.gross is None or not row.number:
        return None
    return Listed(
        provider_id=row.id, number=row.number, issued_on=row.issued_on, gross=row.gross, annulled=row.annulled
    )


async def _pages(
    path: str, query: Mapping[str, str], fetch: FetchPage, purpose: Purpose = Purpose.VERIFY, most: int = MOST_PAGES
) -> AsyncIterator[tuple[Row, ...]]:
    for number in range(1, most + 1):
        try:
            rows, last = rows_of(await fetch(path, {**query, "page": str(number)}, purpose))
        except IncompleteAnswerError as error:
            raise NoEffectError(f"{path}: the list lacks {error}", code="billpt.unreadable") from error
        yield rows
        if number >= last:
            return
    raise NoEffectError(
        f"{path}: not found in the newest {most} pages, and there are more",
        code="billpt.search_too_long",
        fix="look for the order's document at Bill.pt by hand",
    )


def _customer_of(search: Search) -> str:
    return "" if search.draft.references else search.customer_id


def _can_be(row: Row, search: Search) -> bool:
    customer = _customer_of(search)
    return _is_new(row, search) and not (customer and row.customer_id and row.customer_id != customer)


def _is_new(row: Row, search: Search) -> bool:
    if search.newer_than:  # surer than a day by our clock, which may have been wrong when the document was sent
        return _order(row.id) > _order(search.newer_than)
    return row.issued_on is None or row.issued_on >= search.since


def _order(known: str) -> tuple[int, str]:
    return len(known), known


# -- codes that are taken ----------------------------------------------------------------------------------------


def taken(codes: Sequence[Code]) -> bool:
    """Whether all that was refused is a customer or an article that the account has already."""
    return bool(codes) and all(
        code.number in {CODE_TAKEN, TAX_ID_OF_ANOTHER_CUSTOMER}
        or (code.number == 3 and code.field in {"codigo", "nif"})
        for code in codes
    )


async def resolve(draft: DocumentDraft, ids: Ids, fetch: FetchPage) -> Ids:
    """The ids of what rode inside the document: its customer and the articles that were not known by id."""
    articles = dict(ids.articles)
    for code in sorted({line.code for line in draft.lines} - articles.keys()):
        if known := await _id_by("items", "codigo", code, fetch):
            articles[code] = known
    customer = draft.customer
    known_customer = ids.customer
    if not known_customer and customer.kind is not CustomerKind.ANONYMOUS and draft.kind not in CORRECTING:
        known_customer = await _id_by("contatos", "codigo", customer.code, fetch)
        if not known_customer and customer.tax_id != FINAL_CONSUMER_NIF:
            known_customer = await _id_by("contatos", "nif", customer.tax_id, fetch)
    return replace(ids, articles=articles, customer=known_customer)


async def _id_by(path: str, field: str, value: str, fetch: FetchPage) -> str:
    """The id of the record whose field is exactly this; the service's filter only looks for "contains"."""
    for number in range(1, MOST_CODE_PAGES + 1):
        query = {f"pesquisa[texto][{field}]": value, "page": str(number)}
        try:
            records, last = records_of(await fetch(path, query, Purpose.LOOKUP))
        except IncompleteAnswerError as error:
            raise NoEffectError(f"{path}: the list lacks {error}", code="billpt.unreadable") from error
        for record in records:
            if str(record.get(field)) == value and record.get("id") is not None:
                return str(record["id"])
        if number >= last:
            break
    return ""
