"""A SAF-T (PT) file as a service exports it, with as much as an audit reads and something of what it does not."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from xml.sax.saxutils import escape

from syncd.audit.compare import Ours

NIF = "503504564"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One document of the file."""

    number: str
    day: date
    gross: str
    status: str = "N"
    references: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.number.split()[0]


def entries_of(ours: Iterable[Ours]) -> list[Entry]:
    """The ledger's documents as the file would show them."""
    return [
        Entry(
            number=each.number,
            day=each.issued_on,
            gross=f"{each.gross:.2f}",
            status="A" if each.annulled else "N",
            references=tuple(sorted(each.references)),
        )
        for each in ours
    ]


def changed(entries: Iterable[Entry], number: str, **values: object) -> list[Entry]:
    return [replace(each, **values) if each.number == number else each for each in entries]  # type: ignore[arg-type]


def saft(entries: Iterable[Entry], first: date, last: date, *, encoding: str = "windows-1252", nif: str = NIF) -> bytes:
    """The whole file; receipts (RC) stand among the payments, as RG."""
    every = list(entries)
    invoices, payments = ([each for each in every if (each.kind == "RC") is paid] for paid in (False, True))
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
<AuditFile xmlns="urn:OECD:StandardAuditFile-Tax:PT_1.04_01" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Header>
  <AuditFileVersion>1.04_01</AuditFileVersion><CompanyID>Lisboa {nif}</CompanyID>
  <TaxRegistrationNumber>{nif}</TaxRegistrationNumber><CompanyName>Conceição &amp; Irmãos</CompanyName>
  <FiscalYear>{first.year}</FiscalYear><StartDate>{first}</StartDate><EndDate>{last}</EndDate>
 </Header>
 <MasterFiles><Customer><CustomerID>1</CustomerID><CompanyName>João</CompanyName></Customer></MasterFiles>
 <SourceDocuments>
  <SalesInvoices><NumberOfEntries>{len(invoices)}</NumberOfEntries><TotalDebit>0.00</TotalDebit>
{"".join(map(_invoice, invoices))}  </SalesInvoices>
  <Payments><NumberOfEntries>{len(payments)}</NumberOfEntries>
{"".join(map(_payment, payments))}  </Payments>
 </SourceDocuments>
</AuditFile>
"""
    return text.encode(encoding)


def _invoice(entry: Entry) -> str:
    references = "".join(
        f"<References><Reference>{escape(each)}</Reference><Reason>Devolução</Reason></References>"
        for each in entry.references
    )
    return f"""   <Invoice><InvoiceNo>{escape(entry.number)}</InvoiceNo><ATCUD>ABCD1234-1</ATCUD>
    <DocumentStatus><InvoiceStatus>{entry.status}</InvoiceStatus><InvoiceStatusDate>{entry.day}T10:00:00</InvoiceStatusDate></DocumentStatus>
    <InvoiceDate>{entry.day}</InvoiceDate><InvoiceType>{entry.kind}</InvoiceType>
    <Line><LineNumber>1</LineNumber>{references}<Description>Café</Description><CreditAmount>1.00</CreditAmount></Line>
    <DocumentTotals><TaxPayable>0.00</TaxPayable><NetTotal>0.00</NetTotal><GrossTotal>{entry.gross}</GrossTotal></DocumentTotals>
   </Invoice>
"""


def _payment(entry: Entry) -> str:
    lines = "".join(
        f"<Line><SourceDocumentID><OriginatingON>{escape(each)}</OriginatingON></SourceDocumentID></Line>"
        for each in entry.references
    )
    return f"""   <Payment><PaymentRefNo>RG{escape(entry.number[2:])}</PaymentRefNo>
    <TransactionDate>{entry.day}</TransactionDate><PaymentType>RG</PaymentType>
    <DocumentStatus><PaymentStatus>{entry.status}</PaymentStatus></DocumentStatus>{lines}
    <DocumentTotals><NetTotal>0.00</NetTotal><GrossTotal>{entry.gross}</GrossTotal></DocumentTotals>
   </Payment>
"""
