"""Bill.pt as an invoicing service: which requests a document takes, and what their answers mean."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from syncd.domain.capabilities import AnnulWindow, Arithmetic, Capabilities, Limits, Profile
from syncd.domain.document import DocumentDraft, DocumentKind, IssuedDocument, PriceMode
from syncd.domain.errors import (
    AccountBlockedError,
    MisjudgedAccountError,
    NoEffectError,
    RefusedError,
    ServiceError,
    UncertainError,
)
from syncd.mapping.texts import shorten
from syncd.providers.billpt import answers, bodies, checks, lookups, references
from syncd.providers.billpt.errors import ALREADY_ANNULLED, codes_in, error_for, message_in, parse, texts_in
from syncd.providers.billpt.references import References
from syncd.providers.http import JsonApi, Request
from syncd.providers.port import AccountConfig, Directory, Finding, Gateway, Issue, Listed, Purpose, Search

API = "api/1.0"
LISBON = ZoneInfo("Europe/Lisbon")


class BillPt:
    """`providers.port.InvoicingService` for one account at Bill.pt."""

    capabilities = Capabilities(
        kinds=frozenset(DocumentKind),
        drafts=True,
        arithmetic=Arithmetic.LINE,
        rounding=Decimal("0.03"),
        whole_rates=True,
        exempt_simplified=False,
        rate_limit=100,
        payment_codes=frozenset({"TB", "MB", "CC", "CD", "CH", "CO", "CS", "DE", "LC", "NU", "PR", "TR"}),
        annuls=AnnulWindow(days=5),
        limits=Limits(
            name=30,
            street=100,
            postcode=15,
            city=50,
            article_code=30,
            description=200,
            notes=bodies.NOTES_LIMIT,
            price_decimals=10,
            discount_decimals=5,
            discounts=3,
        ),
    )

    def __init__(self, config: AccountConfig, gateway: Gateway, directory: Directory) -> None:
        self._config = config
        self._directory = directory
        self._api = JsonApi(
            f"{config.base_url.rstrip('/')}/{API}",
            config.token,
            gateway,
            timeout_seconds=config.timeout_seconds,
            error_codes=texts_in,
            kept=bodies.IMPERSONAL,
        )
        self._references = References(directory, self._list)

    async def issue(self, issue: Issue) -> IssuedDocument:
        """One request; a second one only where the first was refused for what can be put right at once."""
        receipt = issue.draft.kind is DocumentKind.RC
        if receipt and (issue.as_draft or issue.finalise):
            raise RefusedError("Bill.pt has no draft receipts", code="billpt.no_draft", fix="issue it by hand")
        # All that is needed to read the answer is known before anything leaves: once a document may exist, a failed
        # look-up must not look like a request without effect.
        ids, lists = await self._ids(issue), await self._lists()
        body = bodies.receipt_body(issue, ids) if receipt else bodies.document_body(issue, ids)
        request = Request(
            method="POST",
            path="recibos" if receipt else "documentos",
            purpose=Purpose.ISSUE,
            writes=True,
            body=body,
        )
        try:
            data = await self._ask(request)
        except RefusedError as refused:
            # Refused for certain, so that sending the corrected body can make no second document.
            corrected = await self._corrected(issue, ids, body, refused)
            if corrected is None:
                raise
            data = await self._ask(replace(request, body=corrected))
        return _judged(data, lists, as_draft=issue.as_draft)

    async def find(self, search: Search) -> tuple[IssuedDocument, ...]:
        """Search by type and customer (or series), compare amounts and markers here: the service cannot search them.

        Raises NoEffectError for any trouble at all: an empty answer must mean that nothing was issued.
        """
        try:
            return await self._find(search)
        except NoEffectError:
            raise
        except ServiceError as error:
            raise NoEffectError(
                f"cannot tell whether it was issued: {error}", code=error.code, fix=error.fix, answer=error.answer
            ) from error

    async def read(self, provider_id: str) -> IssuedDocument:
        return _understood(await self._document(provider_id, Purpose.AUDIT), await self._lists())

    async def issued_on(self, kind: DocumentKind, first: date, last: date) -> AsyncIterator[Sequence[Listed]]:
        document_type = await self._references.document_type(kind)
        async for page in lookups.issued_on(document_type, first, last, self._page):
            yield page

    async def marks(self, provider_id: str) -> frozenset[str]:
        return answers.marks_of(await self._document(provider_id, Purpose.AUDIT))

    async def annul(self, provider_id: str, reason: str) -> None:
        request = Request(
            method="PATCH",
            path="documentos",
            purpose=Purpose.ANNUL,
            writes=True,
            body={"documento_id": bodies.id_of(provider_id), "motivo_anular": shorten(reason, bodies.REASON_LIMIT)},
        )
        try:
            data = await self._ask(request)
        except RefusedError as error:
            if {parse(text).number for text in error.answer.codes} == {ALREADY_ANNULLED}:
                return
            raise
        if answers.state_of(data) != "A":
            raise UncertainError(f"document {provider_id} is not told to be annulled", code="billpt.not_annulled")

    async def delete_draft(self, provider_id: str) -> None:
        """Remove a draft; one that is gone already is no error."""
        try:
            await self._ask(
                Request(
                    method="DELETE", path=_path_of(provider_id), purpose=Purpose.ISSUE, writes=True, needs_json=False
                ),
                one_record=True,
            )
        except RefusedError as error:
            if error.answer.status != 404:
                raise

    async def email(self, provider_id: str, address: str) -> None:
        await self._ask(
            Request(
                method="POST",
                path="documentos/enviar-por-email",
                purpose=Purpose.WRITE_BACK,
                writes=True,
                body={"id": bodies.id_of(provider_id), "email": address},
                needs_json=False,
            ),
            one_record=True,
        )

    async def note(self, provider_id: str, text: str) -> None:
        await self._ask(
            Request(
                method="POST",
                path="documentos/nota-documento",
                purpose=Purpose.WRITE_BACK,
                writes=True,
                body={"id": bodies.id_of(provider_id), "nota_documento": text},
            ),
            one_record=True,
        )

    async def check(self) -> tuple[Finding, ...]:
        """Token first; then every list is read anew, which also refreshes what is cached."""
        try:
            await self._ask(
                Request(method="POST", path="valid-token", purpose=Purpose.LOOKUP, writes=False, needs_json=False)
            )
        except (AccountBlockedError, RefusedError) as error:
            return (Finding(subject="token", message=str(error), fix=error.fix),)
        lists = {listing.kind: await self._references.refresh(listing) for listing in references.ALL}
        return (Finding(subject="token", message="accepted"), *checks.findings(lists, self._config.series))

    async def close(self) -> None:
        await self._api.close()

    # -- one request -------------------------------------------------------------------------------------------

    async def _ask(self, request: Request, *, one_record: bool = False) -> object:
        """The JSON of an answer that is a success: status 2xx and no `error` in it."""
        answer = await self._api.send(request)
        codes = codes_in(answer.data)
        if answer.ok and not codes:
            return answer.data
        if answer.ok and request.writes and answers.names_a_document(answer.data):
            # Both an error and a document: it exists, whatever the error says.
            raise UncertainError("answered with an error and a document", code="billpt.error_and_document")
        if not answer.ok:
            codes = codes or message_in(answer.data)
        error = error_for(answer.status, codes, one_record=one_record)
        if isinstance(error, UncertainError) and not request.writes:
            raise NoEffectError(str(error), code=error.code, answer=error.answer)
        raise error

    async def _list(self, path: str) -> object:
        return await self._ask(Request(method="GET", path=path, purpose=Purpose.LOOKUP, writes=False))

    async def _page(self, path: str, query: Mapping[str, str], purpose: Purpose) -> object:
        return await self._ask(Request(method="GET", path=path, purpose=purpose, writes=False, query=query))

    async def _document(self, provider_id: str, purpose: Purpose) -> object:
        request = Request(method="GET", path=_path_of(provider_id), purpose=purpose, writes=False)
        return await self._ask(request, one_record=True)

    # -- issuing -----------------------------------------------------------------------------------------------

    async def _ids(self, issue: Issue) -> bodies.Ids:
        draft, code = issue.draft, issue.draft.customer.code
        known = await self._directory.get("customer", (code,))
        named = await self._directory.get("customer_name", (code,)) if known and code else {}
        name = draft.series or references.series_name(self._config.series, draft.kind)
        series, price_mode = await self._references.series(name)
        if draft.lines and draft.price_mode is not price_mode:
            raise _priced_otherwise(draft, price_mode)
        ids = bodies.Ids(
            series=series,
            payment=await self._references.payment(draft.payment) if draft.payment else "",
            customer=known.get(code, ""),
            customer_name=named.get(code, ""),
        )
        if draft.kind is DocumentKind.RC:
            return replace(ids, receipt_type=await self._references.document_type(draft.kind))
        codes = tuple(sorted({line.code for line in draft.lines}))
        articles = await self._directory.get("article", codes)
        rates = sorted({line.vat_rate for line in draft.lines if line.exemption is None})
        return replace(
            ids,
            articles=articles,
            unit=await self._references.unit() if len(articles) < len(codes) else "",
            taxes={rate: await self._references.tax(rate, draft.region) for rate in rates},
        )

    async def _corrected(
        self, issue: Issue, ids: bodies.Ids, body: bodies.Body, refused: RefusedError
    ) -> bodies.Body | None:
        """The body that puts right what was refused, None where nobody but a person can."""
        codes = tuple(parse(text) for text in refused.answer.codes)
        if (cut := bodies.shortened(body, codes)) is not None:
            return cut
        if issue.draft.kind is DocumentKind.RC or not lookups.taken(codes):
            return None
        resolved = bodies.document_body(issue, await lookups.resolve(issue.draft, ids, self._page))
        return resolved if resolved != body else None

    async def _lists(self) -> answers.Lists:
        taxes = await self._references.entries(references.TAXES)
        reasons = await self._references.entries(references.EXEMPTIONS)
        return answers.Lists(
            rates={entry.id: entry.rate for entry in taxes if entry.rate is not None},
            exemptions={entry.id: entry["codigo"] for entry in reasons},
        )

    # -- searching ---------------------------------------------------------------------------------------------

    async def _find(self, search: Search) -> tuple[IssuedDocument, ...]:
        kind = search.draft.kind
        series, _ = await self._references.series(
            search.draft.series or references.series_name(self._config.series, kind)
        )
        query = lookups.query_for(search, document_type=await self._references.document_type(kind), series=series)
        exact, others = lookups.candidates(await lookups.recent(search, query, self._page), search.draft)
        lists = await self._lists() if exact or others else answers.Lists()
        return await self._carrying(exact, search, lists) or await self._carrying(others, search, lists)

    async def _carrying(
        self, rows: Sequence[answers.Row], search: Search, lists: answers.Lists
    ) -> tuple[IssuedDocument, ...]:
        found = []
        for row in rows:
            data = await self._document(row.id, Purpose.VERIFY)
            document = answers.with_marker(_understood(data, lists), data, search.markers)
            if document is not None:
                found.append(document)
        return tuple(found)


def _judged(data: object, lists: answers.Lists, *, as_draft: bool) -> IssuedDocument:
    """The document that an answer of success tells of, if it is what was asked for."""
    try:
        document = answers.document_of(data, lists, today=_today())
    except answers.IncompleteAnswerError as error:
        raise UncertainError(f"the answer lacks {error}", code="billpt.incomplete") from error
    if document.final == as_draft:
        # A draft where a document was asked for or, worse, the other way round: look before anything else is sent.
        got, asked = ("a document", "a draft") if as_draft else ("a draft", "a document")
        raise UncertainError(f"the answer is {got} where {asked} was asked for", code="billpt.wrong_state")
    return document


def _understood(data: object, lists: answers.Lists) -> IssuedDocument:
    try:
        return answers.document_of(data, lists, today=_today())
    except answers.IncompleteAnswerError as error:
        raise NoEffectError(f"the answer lacks {error}", code="billpt.incomplete") from error


def _priced_otherwise(draft: DocumentDraft, price_mode: PriceMode) -> MisjudgedAccountError:
    """Nothing was sent: the series says by itself how it takes prices."""
    otherwise = RefusedError(
        f"the account's series takes {price_mode} prices, and this document was planned with others",
        code="billpt.price_mode",
        fix="retry the order",
    )
    return MisjudgedAccountError(seen=Profile(price_modes={draft.place: price_mode}), otherwise=otherwise)


def _path_of(provider_id: str) -> str:
    return f"documentos/{quote(provider_id, safe='')}"


def _today() -> date:
    return datetime.now(LISBON).date()
