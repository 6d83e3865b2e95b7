"""A SAF-T (PT) file, read as a stream: its documents one after the other, in as much memory as one of them takes.

Portaria 302/2016, `urn:OECD:StandardAuditFile-Tax:PT_1.04_01`. The file comes from somebody else, so a document type
with its entities, which could read other files or grow without end, is refused before anything of it is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol
from xml.parsers import expat

from syncd.audit.compare import Theirs
from syncd.domain.errors import AmountError, SyncdError
from syncd.domain.money import decimal_of

NAMESPACE = "urn:OECD:StandardAuditFile-Tax:PT_"
ANNULLED = "A"
_CHUNK = 64 * 1024
_ROOT = "AuditFile"
_INVOICE = (_ROOT, "SourceDocuments", "SalesInvoices", "Invoice")
_PAYMENT = (_ROOT, "SourceDocuments", "Payments", "Payment")
_HEADER = (_ROOT, "Header")
# What is kept of each, by its place below it.
_FIELDS: Mapping[tuple[str, ...], Mapping[tuple[str, ...], str]] = {
    _INVOICE: {
        ("InvoiceNo",): "number",
        ("DocumentStatus", "InvoiceStatus"): "status",
        ("InvoiceDate",): "day",
        ("DocumentTotals", "GrossTotal"): "gross",
        ("Line", "References", "Reference"): "references",
    },
    _PAYMENT: {
        ("PaymentRefNo",): "number",
        ("DocumentStatus", "PaymentStatus"): "status",
        ("TransactionDate",): "day",
        ("DocumentTotals", "GrossTotal"): "gross",
        ("Line", "SourceDocumentID", "OriginatingON"): "references",
    },
    _HEADER: {("TaxRegistrationNumber",): "nif", ("StartDate",): "first", ("EndDate",): "last"},
}
_COUNTS = {(*_INVOICE[:-1], "NumberOfEntries"): _INVOICE, (*_PAYMENT[:-1], "NumberOfEntries"): _PAYMENT}
_LEAVES = {(*whole, *below) for whole, fields in _FIELDS.items() for below in fields} | _COUNTS.keys()


class Readable(Protocol):
    """What is read of a file."""

    def read(self, size: int, /) -> bytes | None: ...


class SaftError(SyncdError):
    """The file is not one that can be audited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Whose file it is, and of which days."""

    nif: str
    first: date
    last: date


@dataclass(slots=True)
class _Reading:
    """Where the parser is, and what it has of the part that it is in."""

    path: list[str] = field(default_factory=list)
    text: list[str] | None = None
    found: dict[str, list[str]] = field(default_factory=dict)
    whole: list[tuple[tuple[str, ...], dict[str, list[str]]]] = field(default_factory=list)
    told: dict[tuple[str, ...], int] = field(default_factory=dict)
    read: dict[tuple[str, ...], int] = field(default_factory=dict)

    def start(self, name: str, _: object) -> None:
        space, _, local = name.rpartition(" ")
        if not self.path and not (local == _ROOT and space.startswith(NAMESPACE)):
            raise SaftError(
                f"it is no SAF-T (PT) file, but {local}", fix="export the invoicing file (SAF-T PT) from the service"
            )
        self.path.append(local)
        place = tuple(self.path)
        if place in _FIELDS:
            self.found = {}
        self.text = [] if place in _LEAVES else None

    def end(self, _: str) -> None:
        place = tuple(self.path)
        self.path.pop()
        text, self.text = self.text, None
        if text is not None and place in _COUNTS:
            said = "".join(text).strip()
            self.told[_COUNTS[place]] = int(said) if said.isdecimal() else -1
        elif text is not None:
            whole = next(each for each in _FIELDS if place[: len(each)] == each)
            self.found.setdefault(_FIELDS[whole][place[len(whole) :]], []).append("".join(text).strip())
        elif place in _FIELDS:
            self.read[place] = self.read.get(place, 0) + 1
            self.whole.append((place, self.found))

    def words(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)


class Saft:
    """One file; `header` stands before the first document."""

    def __init__(self, file: Readable, name: str) -> None:
        self._file = file
        self._name = name
        self._reading = _Reading()
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._reading.start
        self._parser.EndElementHandler = self._reading.end
        self._parser.CharacterDataHandler = self._reading.words
        self._parser.StartDoctypeDeclHandler = _refuse
        self.header = self._header()

    def documents(self) -> Iterator[Theirs]:
        """Invoices and payments in the file's own order. SaftError where the file is damaged or less than it says."""
        while True:
            done, self._reading.whole = self._reading.whole, []
            for place, found in done:
                if place != _HEADER:
                    yield self._document(found)
            if not self._more():
                break
        for place, told in self._reading.told.items():
            if told != (read := self._reading.read.get(place, 0)):
                raise self._damaged(f"it says that it has {told} of {place[-1]}, and {read} are there")

    def _header(self) -> Header:
        while not any(place == _HEADER for place, _ in self._reading.whole):
            if not self._more():
                raise self._damaged("it has no header")
        found = next(found for place, found in self._reading.whole if place == _HEADER)
        nif, first, last = (self._one(found, name) for name in ("nif", "first", "last"))
        return Header(nif=nif, first=self._day(first), last=self._day(last))

    def _more(self) -> bool:
        """Read on; False at the end."""
        chunk = self._file.read(_CHUNK) or b""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            raise self._damaged(f"line {error.lineno}: {expat.ErrorString(error.code)}") from error
        except SaftError as error:
            raise SaftError(f"{self._name}: {error}", fix=error.fix) from error
        except LookupError as error:
            raise self._damaged("its encoding is not known") from error
        return bool(chunk)

    def _document(self, found: Mapping[str, list[str]]) -> Theirs:
        number, status, day, gross = (self._one(found, name) for name in ("number", "status", "day", "gross"))
        return Theirs(
            number=number,
            issued_on=self._day(day),
            gross=self._amount(gross, number),
            annulled=status == ANNULLED,
            references=frozenset(found.get("references", ())),
        )

    def _one(self, found: Mapping[str, list[str]], name: str) -> str:
        match found.get(name):
            case [text] if text:
                return text
            case _:
                what = (found.get("number") or ["the header"])[0]
                raise self._damaged(f"{what} has no {name}, or several")

    def _day(self, text: str) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self._damaged(f"{text[:40]!r} is no day") from None

    def _amount(self, text: str, number: str) -> Decimal:
        try:
            return decimal_of(text, where=f"GrossTotal of {number}")
        except AmountError as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, what: str) -> SaftError:
        return SaftError(f"{self._name}: {what}", fix="export it anew; a file that was cut or edited proves nothing")


def _refuse(*_: object) -> None:
    raise SaftError("it declares a document type, which no SAF-T file does", fix="get it anew from the service itself")
