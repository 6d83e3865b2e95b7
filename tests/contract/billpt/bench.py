"""The adapter at the emulator of Bill.pt, or at a server that answers as told, and orders to begin from."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from syncd.domain.document import DocumentDraft, IssuedDocument
from syncd.domain.order import Address, Buyer, Order
from syncd.domain.states import DocumentState
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import plan
from syncd.providers.billpt.adapter import BillPt
from syncd.providers.port import AccountConfig, Issue, Search
from syncd.sandbox.billpt import BillPt as Emulator
from syncd.sandbox.billpt.faults import Fault, FaultKind
from syncd.sandbox.billpt.settings import Settings
from syncd.sandbox.server import serve
from tests.builders import LISBON_BUYER, a_line, a_policy, an_order, shipping
from tests.provider_parts import MemoryDirectory, OpenGateway, scripted

MARKER, OTHER = "syncd:7kq2m9xw4hzt", "syncd:zzzz22223333"
TODAY = date.today()  # noqa: DTZ011 - only to look some days back

KNOWN_BUYER = Buyer(
    name="Rita Lopes",
    email="rita@loja.example",
    tax_id="212345672",
    billing=Address(name="Rita Lopes", street="Rua Nova 5", postcode="4000-100", city="Porto", country="PT"),
)

POLICY = a_policy(capabilities=BillPt.capabilities)


@dataclass
class Bench:
    """An adapter at an emulator, with its journal and its directory."""

    service: BillPt
    emulator: Emulator
    gateway: OpenGateway
    directory: MemoryDirectory

    def fail(self, kind: FaultKind, **options: Any) -> None:
        self.emulator.faults.add(Fault(kind=kind, path="/api/1.0/documentos", method="POST", **options))

    async def issue(self, draft: DocumentDraft, marker: str = MARKER, **options: Any) -> IssuedDocument:
        return await self.service.issue(Issue(draft=draft, marker=marker, **options))

    async def find(self, draft: DocumentDraft, *markers: str, **options: Any) -> tuple[IssuedDocument, ...]:
        values: dict[str, Any] = {"customer_id": "", "since": TODAY - timedelta(days=2)} | options
        return await self.service.find(Search(draft=draft, markers=frozenset(markers or {MARKER}), **values))

    def learn(self, draft: DocumentDraft, issued: IssuedDocument) -> None:
        self.directory.kinds.setdefault("customer", {})[draft.customer.code] = issued.customer_id
        self.directory.kinds.setdefault("customer_name", {})[draft.customer.code] = issued.customer_name
        pairs = zip(draft.lines, issued.lines, strict=True)
        self.directory.kinds.setdefault("article", {}).update({d.code: i.article_id for d, i in pairs})


@asynccontextmanager
async def bench(settings: Settings | None = None, **config: Any) -> AsyncIterator[Bench]:
    emulator = Emulator(settings)
    async with await serve(emulator) as serving:
        given: dict[str, Any] = {"base_url": serving.url, "token": SecretStr(emulator.token), "timeout_seconds": 5.0}
        given |= config
        gateway, directory = OpenGateway(), MemoryDirectory()
        service = BillPt(AccountConfig(name="main", **given), gateway, directory)
        try:
            yield Bench(service, emulator, gateway, directory)
        finally:
            await service.close()


def sale(order: Order | None = None, **policy: Any) -> DocumentDraft:
    accepted = frozenset({"vies_unconfirmed"})
    made = plan(order or an_order(buyer=KNOWN_BUYER), (), replace(POLICY, **policy), accepted)
    assert made.documents, made
    return made.documents[0]


def after(draft: DocumentDraft, order: Order, **policy: Any) -> DocumentDraft:
    """What an order's newer state asks for once this document is issued."""
    known = KnownDocument(key=draft.key, state=DocumentState.ISSUED, draft=draft)
    made = plan(order, [known], replace(POLICY, **policy))
    assert made.documents, made
    return made.documents[0]


ORDERS: Mapping[str, Order] = {
    "one article": an_order(buyer=KNOWN_BUYER),
    "final consumer": an_order(),
    "named buyer without a number": an_order(buyer=replace(LISBON_BUYER, billing=KNOWN_BUYER.billing)),
    "several rates and shipping": an_order(
        a_line("12.30"), a_line("5.30", rate="6", sku="LIV-1", id="2"), shipping("4.90"), buyer=KNOWN_BUYER
    ),
    "a discount": an_order(a_line("9.99", list_gross="14.99", quantity="3"), buyer=KNOWN_BUYER),
    "prices of fractions of a cent": an_order(
        a_line("1.53", quantity="33", unit_price=Decimal("0.0375")), buyer=KNOWN_BUYER, prices_include_tax=False
    ),
    "a gross that needs rounding": an_order(a_line("5.00"), buyer=KNOWN_BUYER),
    "the same article twice": an_order(a_line("12.30"), a_line("6.15", id="2"), buyer=KNOWN_BUYER),
    "company abroad": an_order(
        a_line("100.00", rate="0"),
        buyer=Buyer(
            name="Example GmbH",
            tax_id="DE136695976",
            billing=Address(company="Example GmbH", street="Weg 1", postcode="10115", city="Berlin", country="DE"),
            shipping=Address(name="Example GmbH", street="Weg 1", postcode="10115", city="Berlin", country="DE"),
        ),
    ),
    "export": an_order(
        a_line("100.00", rate="0"),
        buyer=Buyer(
            name="Ann Hill",
            billing=Address(name="Ann Hill", street="1 Road", postcode="10001", city="New York", country="US"),
            shipping=Address(name="Ann Hill", street="1 Road", postcode="10001", city="New York", country="US"),
        ),
    ),
}

LISTS: dict[str, list[Any]] = {
    "GET /api/1.0/series": [(200, [{"id": 12, "nome": "WEB", "iva_incluido": 0, "principal": 1}])],
    "GET /api/1.0/impostos": [(200, [{"id": 1, "nome": "IVA 23", "valor": 23}])],
    "GET /api/1.0/metodos-pagamento": [(200, [{"id": 3, "simbolo": "CC"}, {"id": 1, "simbolo": "TB"}])],
    "GET /api/1.0/unidades-medida": [(200, [{"id": 1, "simbolo": "UN", "principal": 1}])],
    "GET /api/1.0/motivos-isencao": [(200, [{"id": 1, "codigo": "M01"}])],
    "GET /api/1.0/tipos-documento": [(200, [{"id": 3, "tipificacao": "FR"}])],
}

ISSUED: dict[str, Any] = {
    "id": 3501,
    "estado": "N",
    "terminado": 1,
    "contato_id": 58,
    "invoice_number": "FR WEB/17",
    "invoice_date": str(TODAY),
    "net_total": "10.00",
    "tax_total": "2.30",
    "gross_total": "12.30",
    "lancamentos": [],
}


@asynccontextmanager
async def against(replies: Mapping[str, list[Any]]) -> AsyncIterator[tuple[BillPt, Any, OpenGateway]]:
    async with scripted(replies) as server:
        gateway = OpenGateway()
        config = AccountConfig(name="main", base_url=server.url, token=SecretStr("t" * 128), timeout_seconds=5)
        service = BillPt(config, gateway, MemoryDirectory())
        try:
            yield service, server, gateway
        finally:
            await service.close()
