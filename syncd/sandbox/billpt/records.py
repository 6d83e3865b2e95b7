"""What the sandbox remembers: accounts with their master records and documents, all in memory and indexed.

Master records are kept as the JSON rows in which the service shows them; documents and lines are typed.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from syncd.sandbox.billpt.amounts import ZERO, Priced, Sums
from syncd.sandbox.billpt.lists import OWING, DocumentType

Row = dict[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """One line of a document. `moved` is what later documents took of it: quantity, and value in net terms."""

    id: int
    document_id: int
    item: Row
    tax_id: int
    exemption_id: int | None
    parent: "Line | None"
    name: str
    reference: str
    priced: Priced
    sums: Sums
    moved: Decimal = ZERO
    moved_value: Decimal = ZERO


@dataclass(slots=True, kw_only=True, eq=False)
class Payment:
    """What a receipt settled of a document."""

    id: int
    receipt: "Document"
    document: "Document"
    total: Decimal


@dataclass(slots=True, kw_only=True, eq=False)
class Document:
    """A draft, a final document or a receipt. Times are mainland time without a zone."""

    id: int
    kind: DocumentType
    final: bool
    header: Row  # what was sent or defaulted, under the service's names
    contact: Row  # the live record
    snapshot: Row  # the customer as printed
    series: Row
    number: str
    issued_at: datetime
    entered_at: datetime
    due_at: datetime
    sums: Sums
    lines: list[Line] = field(default_factory=list)
    token: str = ""
    note: str = ""
    reason: str = ""
    annulled: bool = False
    printed: bool = False
    mailed: list[str] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)  # as the paid document
    pays: list[Payment] = field(default_factory=list)  # as the receipt
    children: list["Document"] = field(default_factory=list)  # notes and conversions made of it
    payload: Row = field(default_factory=dict)
    visible_at: float = 0.0

    @property
    def paid(self) -> Decimal:
        return sum((payment.total for payment in self.payments if not payment.receipt.annulled), ZERO)

    @property
    def owed(self) -> Decimal:
        """What receipts may still settle; FR and FS settle themselves."""
        if not self.final or self.annulled or self.kind.tag not in OWING:
            return ZERO
        return self.sums.gross - self.paid

    @property
    def observations(self) -> str:
        return str(self.header.get("observacoes") or "")


class Ids:
    """Ids shared by all accounts of a sandbox, as in one database; they begin at a different number in each sandbox."""

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - ids only have to differ from one sandbox to the next
        self._last: dict[str, int] = {}
        self._seen: dict[str, set[int]] = defaultdict(set)

    def next(self, kind: str) -> int:
        if kind not in self._last:
            self._last[kind] = self._chance.randrange(1_000, 30_000)
        self._last[kind] += 1
        self._seen[kind].add(self._last[kind])
        return self._last[kind]

    def shuffled(self, kind: str, count: int) -> list[int]:
        ids = [self.next(kind) for _ in range(count)]
        self._chance.shuffle(ids)
        return ids

    def known(self, kind: str, number: int) -> bool:
        """Whether any account has, or had, a record of this kind with that id."""
        return number in self._seen[kind]

    def token(self) -> str:
        """40 hexadecimal digits."""
        return f"{self._chance.getrandbits(160):040x}"


class Table:
    """The rows of one kind, by id and by the text of some columns."""

    def __init__(self, kind: str, ids: Ids, *, indexed: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._ids = ids
        self._rows: dict[int, Row] = {}
        self._index: dict[str, dict[str, Row]] = {name: {} for name in indexed}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, number: int) -> Row | None:
        return self._rows.get(number)

    def is_foreign(self, number: int) -> bool:
        """Whether it belongs to another account."""
        return number not in self._rows and self._ids.known(self.kind, number)

    def find(self, column: str, value: str) -> Row | None:
        """The first row whose indexed column has this text, whatever its case."""
        return self._index[column].get(value.casefold())

    def add(self, row: Row, number: int | None = None) -> Row:
        row = {"id": self._ids.next(self.kind) if number is None else number, **row}
        self._rows[row["id"]] = row
        self._enter(row)
        return row

    def change(self, row: Row, changes: Row) -> None:
        self._leave(row)
        row.update(changes)
        self._enter(row)

    def remove(self, row: Row) -> None:
        self._leave(row)
        del self._rows[row["id"]]

    def principal(self) -> Row:
        """The account's default."""
        return next((row for row in self if row.get("principal")), next(iter(self)))

    def _enter(self, row: Row) -> None:
        for column, index in self._index.items():
            if row[column]:
                index.setdefault(str(row[column]).casefold(), row)

    def _leave(self, row: Row) -> None:
        for column, index in self._index.items():
            key = str(row[column]).casefold()
            if index.get(key) is row:
                del index[key]


class Books:
    """The documents of one account with their indexes."""

    def __init__(self) -> None:
        self.all: dict[int, Document] = {}
        self.lines: dict[int, Line] = {}
        self.by_number: dict[str, Document] = {}
        self.by_contact: dict[int, dict[int, Document]] = defaultdict(dict)
        self.by_type: dict[int, dict[int, Document]] = defaultdict(dict)
        self.by_marker: dict[str, dict[int, Document]] = defaultdict(dict)
        self._counters: dict[tuple[int, int], int] = defaultdict(int)
        self._last_dates: dict[tuple[int, int], date] = {}

    def add(self, document: Document) -> None:
        self.all[document.id] = document
        self.by_contact[document.contact["id"]][document.id] = document
        self.by_type[document.kind.id][document.id] = document
        self.by_marker[document.note or document.observations][document.id] = document
        self.lines.update((line.id, line) for line in document.lines)
        if document.final:
            self.by_number[document.number] = document

    def remove(self, draft: Document) -> None:
        del self.all[draft.id]
        del self.by_contact[draft.contact["id"]][draft.id]
        del self.by_type[draft.kind.id][draft.id]
        self._unmark(draft)
        for line in draft.lines:
            del self.lines[line.id]

    def note(self, document: Document, text: str) -> None:
        self._unmark(document)
        document.note = text
        self.by_marker[text or document.observations][document.id] = document

    def number(self, series: Row, kind: DocumentType, day: date) -> str:
        """The next number of a series; the caller has checked that its dates do not go back."""
        key = (series["id"], kind.id)
        self._counters[key] += 1
        self._last_dates[key] = day
        return f"{kind.tag} {series['nome']}/{self._counters[key]}"

    def last_date(self, series: Row, kind: DocumentType) -> date | None:
        return self._last_dates.get((series["id"], kind.id))

    def _unmark(self, document: Document) -> None:
        marker = document.note or document.observations
        del self.by_marker[marker][document.id]
        if not self.by_marker[marker]:
            del self.by_marker[marker]


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """One company at the service with the token of its one user."""

    name: str
    token: str
    user_id: int
    consumer: Row  # the default anonymous customer
    contacts: Table
    items: Table
    taxes: Table
    series: Table
    units: Table
    payments: Table
    shipping: Table
    exemptions: Table
    shops: Table
    contact_types: Table
    states: Table
    books: Books = field(default_factory=Books)
    stock_moves: list[Row] = field(default_factory=list)
    tax_login: Row | None = None


def token_of(seed: str) -> str:
    """The 128 characters that belong to a seed."""
    return hashlib.sha512(seed.encode()).hexdigest()
