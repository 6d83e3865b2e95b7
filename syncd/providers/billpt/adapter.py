"""Bill.pt as an invoicing service: which requests a document takes, and what their answers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from syncd.domain.capabilities import Arithmetic, Capabilities, Limits
from syncd.domain.customer import CustomerKind
from syncd.domain.document import DocumentDraft, DocumentKind, IssuedDocument
from syncd.domain.errors import (
    AccountBlockedError,
    NoEffectError,
    RefusedError,
    ServiceError,
    UncertainError,
)
from syncd.mapping.texts import shorten
from syncd.providers.billpt import accounts, lookups, references, wire
from syncd.providers.billpt.errors import ALREADY_ANNULLED, codes_in, error_for, parse, texts_in
from syncd.providers.billpt.references import References
from syncd.providers.http import JsonApi, Request
from syncd.providers.port import AccountConfig, Directory, Finding, Gateway, Issue, Purpose, Search

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
        limits=Limits(
            name=30,
            street=100,
            postcode=15,
            city=50,
            article_code=30,
            description=200,
            notes=wire.NOTES_LIMIT,
            price_decimals=10,
            discount_decimals=5,
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
        )
        self._references = References(directory, self._list)

    async def issue(self, issue: Issue) -> IssuedDocument:
        """One request; a second one only where the first was refused for what can be put right at once."""
        receipt = issue.draft.kind is DocumentKind.RC
        if receipt and (issue.as_draft or issue.finalise):
            raise RefusedError("Bill.pt has no draft receipts", code="billpt.no_draft", fix="issue it by hand")
        ids = await self._ids(issue)
        body = wire.receipt_body(issue, ids) if receipt else wire.document_body(issue, ids)
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
        return await self._issued(data, as_draft=issue.as_draft)

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
        return await self._understood(await self._document(provider_id, Purpose.AUDIT))

    async def annul(self, provider_id: str, reason: str) -> None:
        request = Request(
            method="PATCH",
            path="documentos",
            purpose=Purpose.ISSUE,
            writes=True,
            body={"documento_id": wire.id_of(provider_id), "motivo_anular": shorten(reason, wire.REASON_LIMIT)},
        )
        try:
            data = await self._ask(request)
        except RefusedError as error:
            if {parse(text).number for text in error.answer.codes} == {ALREADY_ANNULLED}:
                return
            raise
        if wire.state_of(data) != "A":
            raise UncertainError(f"document {provider_id} is not told to be annulled", code="billpt.not_annulled")

    async def delete_draft(self, provider_id: str) -> None:
        """Remove a draft; one that is gone already is no error."""
        try:
            await self._ask(
                Request(method="DELETE", path=_path_of(provider_id), purpose=Purpose.ISSUE, writes=True),
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
                body={"id": wire.id_of(provider_id), "email": address},
            ),
            one_record=True,
        )

    async def check(self) -> tuple[Finding, ...]:
        """Token first; then every list is read anew, which also refreshes what is cached."""
        try:
            await self._ask(Request(method="POST", path="valid-token", purpose=Purpose.LOOKUP, writes=False))
        except (AccountBlockedError, RefusedError) as error:
            return (Finding(subject="token", message=str(error), fix=error.fix),)
        lists = {listing.kind: await self._references.refresh(listing) for listing in references.ALL}
        return (Finding(subject="token", message="accepted"), *accounts.findings(lists, self._config.series))

    async def close(self) -> None:
        await self._api.close()

    # -- one request -------------------------------------------------------------------------------------------

    async def _ask(self, request: Request, *, one_record: bool = False) -> object:
        """The JSON of an answer that is a success: status 2xx and no `error` in it."""
        answer = await self._api.send(request)
        codes = codes_in(answer.data)
        if answer.ok and not codes:
            return answer.data
        if answer.ok and wire.names_a_document(answer.data):
            # Both an error and a document: it exists, whatever the error says.
            raise UncertainError("answered with an error and a document", code="billpt.error_and_document")
        raise error_for(answer.status, codes, one_record=one_record)

    async def _list(self, path: str) -> object:
        return await self._ask(Request(method="GET", path=path, purpose=Purpose.LOOKUP, writes=False))

    async def _page(self, path: str, query: Mapping[str, str], purpose: Purpose) -> object:
        return await self._ask(Request(method="GET", path=path, purpose=purpose, writes=False, query=query))

    async def _document(self, provider_id: str, purpose: Purpose) -> object:
        request = Request(method="GET", path=_path_of(provider_id), purpose=purpose, writes=False)
        return await self._ask(request, one_record=True)

    # -- issuing -----------------------------------------------------------------------------------------------

    async def _ids(self, issue: Issue) -> wire.Ids:
        draft, customer = issue.draft, issue.draft.customer
        known = {}
        if customer.kind is not CustomerKind.ANONYMOUS or draft.kind is DocumentKind.RC:
            known = dict(await self._directory.get("customer", (customer.code,)))
        ids = wire.Ids(
            series=await self._series(draft),
            payment=await self._payment(draft.payment) if draft.payment else "",
            customer=known.get(customer.code, ""),
        )
        if draft.kind is DocumentKind.RC:
            return replace(ids, receipt_type=await self._type(draft.kind))
        codes = tuple(sorted({line.code for line in draft.lines}))
        articles = await self._directory.get("article", codes)
        return replace(
            ids,
            articles=articles,
            unit=await self._unit() if len(articles) < len(codes) else "",
            taxes=await self._taxes(draft),
        )

    async def _series(self, draft: DocumentDraft) -> str:
        """The id of the series set for this kind of document, "" to leave it to the account's default."""
        name = accounts.series_name(self._config.series, draft.kind)
        if name:
            found = await self._references.choose(references.SERIES, lambda all_: references.series_named(name, all_))
        else:
            found = await self._references.choose(references.SERIES, references.standard_of)
        if found is None and name:
            known = ", ".join(sorted(entry["nome"] for entry in await self._references.entries(references.SERIES)))
            raise AccountBlockedError(
                f"the account has no series {name!r}; it has {known or 'none'}",
                code="billpt.series_missing",
                fix=f"create series {name} at Bill.pt, or correct the account's [series] setting",
            )
        if found is not None and draft.lines and found["iva_incluido"] == "1":
            raise AccountBlockedError(
                f"series {found['nome']!r} takes prices with VAT, but net prices are sent",
                code="billpt.series_gross",
                fix="name a series with prices without VAT in the account's [series] setting",
            )
        return found.id if found is not None and name else ""

    async def _payment(self, mechanism: str) -> str:
        found = await self._references.choose(
            references.PAYMENTS, lambda all_: references.payment_for(mechanism, all_)
        )
        if found is None:
            raise RefusedError(
                f"the account has no payment method {mechanism}",
                code="billpt.payment_missing",
                fix="map the shop's gateway to a method of the account under [shops.NAME.payments]",
            )
        return found.id

    async def _unit(self) -> str:
        found = await self._references.choose(references.UNITS, references.standard_of)
        if found is None:
            raise AccountBlockedError(
                "the account has no unit of measure", code="billpt.unit_missing", fix="create unit UN at Bill.pt"
            )
        return found.id

    async def _type(self, kind: DocumentKind) -> str:
        found = await self._references.choose(
            references.TYPES, lambda all_: next((entry for entry in all_ if entry["tipificacao"] == kind), None)
        )
        if found is None:
            raise AccountBlockedError(
                f"the account has no document type {kind}", code="billpt.type_missing", fix="clear it up with Bill.pt"
            )
        return found.id

    async def _taxes(self, draft: DocumentDraft) -> Mapping[Decimal, str]:
        ids: dict[Decimal, str] = {}
        for rate in sorted({line.vat_rate for line in draft.lines if line.exemption is None}):
            found = await self._references.choose(
                references.TAXES,
                lambda all_, rate=rate: references.tax_for(rate, draft.region, all_),  # type: ignore[misc]
            )
            if found is None:
                raise RefusedError(
                    f"the account has no tax of {rate.normalize():f} % for {draft.region}",
                    code="billpt.rate_missing",
                    fix=f"create a tax of {rate.normalize():f} % at Bill.pt ({draft.region} in its name), then retry",
                )
            ids[rate] = found.id
        return ids

    async def _corrected(
        self, issue: Issue, ids: wire.Ids, body: wire.Body, refused: RefusedError
    ) -> wire.Body | None:
        """The body that puts right what was refused, None where nobody but a person can."""
        codes = tuple(parse(text) for text in refused.answer.codes)
        if (cut := wire.shortened(body, codes)) is not None:
            return cut
        if issue.draft.kind is DocumentKind.RC or not lookups.taken(codes):
            return None
        resolved = wire.document_body(issue, await lookups.resolve(issue.draft, ids, self._page))
        return resolved if resolved != body else None

    async def _issued(self, data: object, *, as_draft: bool) -> IssuedDocument:
        try:
            document = wire.document_of(data, await self._lists(), today=_today())
        except wire.IncompleteAnswerError as error:
            raise UncertainError(f"the answer lacks {error}", code="billpt.incomplete") from error
        if document.final == as_draft:
            # A draft where a document was asked for, or worse the other way round: look before anything is sent.
            got, asked = ("a document", "a draft") if as_draft else ("a draft", "a document")
            raise UncertainError(f"the answer is {got} where {asked} was asked for", code="billpt.wrong_state")
        return document

    async def _understood(self, data: object) -> IssuedDocument:
        try:
            return wire.document_of(data, await self._lists(), today=_today())
        except wire.IncompleteAnswerError as error:
            raise NoEffectError(f"the answer lacks {error}", code="billpt.incomplete") from error

    async def _lists(self) -> wire.Lists:
        taxes = await self._references.entries(references.TAXES)
        reasons = await self._references.entries(references.EXEMPTIONS)
        return wire.Lists(
            rates={entry.id: entry.rate for entry in taxes if entry.rate is not None},
            exemptions={entry.id: entry["codigo"] for entry in reasons},
        )
