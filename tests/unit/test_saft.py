"""Reading a SAF-T (PT) file: as a stream, in either encoding, and never a damaged or a dangerous one."""

import io
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

import pytest

from syncd.audit.compare import Theirs
from syncd.audit.saft import Saft, SaftError
from tests.saft import NIF, Entry, saft

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
DAY = date(2026, 11, 20)
ENTRIES = [
    Entry(number="FR 2026/1", day=DAY, gross="24.60"),
    Entry(number="NC 2026/1", day=DAY, gross="12.30", references=("FR 2026/1",)),
    Entry(number="FT 2026/1", day=DAY, gross="1000.00", status="F"),
    Entry(number="FR 2026/2", day=DAY, gross="9.99", status="A"),
    Entry(number="RC 2026/1", day=DAY, gross="1000.00", references=("FT 2026/1",)),
]


def read(raw: bytes) -> list[Theirs]:
    return list(Saft(io.BytesIO(raw), "saft.xml").documents())


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-8", "iso-8859-1"])
def test_invoices_and_payments_are_read_in_the_encodings_that_are_in_use(encoding: str) -> None:
    file = Saft(io.BytesIO(saft(ENTRIES, FIRST, LAST, encoding=encoding)), "saft.xml")
    assert (file.header.nif, file.header.first, file.header.last) == (NIF, FIRST, LAST)
    found = list(file.documents())
    assert [each.number for each in found] == ["FR 2026/1", "NC 2026/1", "FT 2026/1", "FR 2026/2", "RG 2026/1"]
    assert [each.annulled for each in found] == [False, False, False, True, False]
    assert [each.gross for each in found][:2] == [Decimal("24.60"), Decimal("12.30")]
    assert found[1].references == frozenset({"FR 2026/1"})
    assert found[4].references == frozenset({"FT 2026/1"})
    assert {each.issued_on for each in found} == {DAY}


WHOLE = saft(ENTRIES, FIRST, LAST)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (WHOLE[: len(WHOLE) // 2], "saft.xml: line"),
        (WHOLE[:300], "saft.xml: line"),
        (b"", "no element found"),
        (b"not XML", "saft.xml: line 1"),
        (b"<html><body/></html>", "is no SAF-T"),
        (b"<AuditFile/>", "is no SAF-T"),
        (WHOLE.replace(b"windows-1252", b"x-nonsense"), "saft.xml:"),
        (WHOLE.replace(b"windows-1252", b"utf-8"), "saft.xml: line"),
        (WHOLE.replace(b"<GrossTotal>24.60<", b"<GrossTotal>24,60<"), "GrossTotal of FR 2026/1"),
        (WHOLE.replace(b"<InvoiceDate>2026-11-20<", b"<InvoiceDate>20.11.2026<", 1), "is no day"),
        (WHOLE.replace(b"<GrossTotal>24.60</GrossTotal>", b""), "FR 2026/1 has no gross"),
        (WHOLE.replace(b"<NumberOfEntries>4<", b"<NumberOfEntries>5<"), "it has 5 of Invoice, and 4 are there"),
        (WHOLE.replace(b"<StartDate>", b"<Start>").replace(b"</StartDate>", b"</Start>"), "the header has no first"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(SaftError, match=said) as caught:
        read(raw)
    assert caught.value.fix


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>"""


@pytest.mark.parametrize(
    "declared", [BOMB, OUTSIDE, b'<?xml version="1.0"?><!DOCTYPE AuditFile SYSTEM "http://e/x.dtd">']
)
def test_a_file_with_entities_is_refused_before_anything_is_read(declared: bytes) -> None:
    body = WHOLE.split(b"?>", 1)[1].replace(b"<CompanyID>", b"<CompanyID>&b;")
    with pytest.raises(SaftError, match="declares a document type"):
        Saft(io.BytesIO(declared + body), "saft.xml")


class Made(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self.size = 0

    def read(self, _: int = -1) -> bytes:
        part = next(self._parts, b"")
        self.size += len(part)
        return part


def long_file(invoices: int) -> Iterator[bytes]:
    whole = saft(ENTRIES[:1], FIRST, LAST).replace(b"<NumberOfEntries>1<", b"<NumberOfEntries>%d<" % invoices)
    start, end = whole.index(b"   <Invoice>"), whole.index(b"  </SalesInvoices>")
    yield whole[:start]
    for _ in range(invoices // 100):
        yield whole[start:end] * 100
    yield whole[end:]


def test_a_long_file_takes_no_more_memory_than_a_short_one() -> None:
    file = Made(long_file(20_000))
    saft_file = Saft(file, "saft.xml")
    next(documents := saft_file.documents())
    tracemalloc.start()
    try:
        count = 1 + sum(1 for _ in documents)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, file.size > 10_000_000) == (20_000, True)
    assert peak < 1_000_000
