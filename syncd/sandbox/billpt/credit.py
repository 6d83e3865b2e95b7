"""Lines that point to lines of an earlier document: credit and debit notes, and offers turned into invoices."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from syncd.sandbox.billpt.amounts import ZERO, Priced
from syncd.sandbox.billpt.calls import Call
from syncd.sandbox.billpt.lists import CORRECTIONS, INVOICES, OFFERS, DocumentType
from syncd.sandbox.billpt.records import Document, Line
from syncd.sandbox.billpt.settings import Credit
from syncd.sandbox.billpt.validation import Fields

if TYPE_CHECKING:
    from syncd.sandbox.billpt.lines import DraftLine

# Prices with ten decimals cannot repeat every discounted price exactly.
TOLERANCE = Decimal("1e-9")


def parent_of(fields: Fields, call: Call, kind: DocumentType) -> Line | None:
    """The line that `lancamento_pai_id` names, if a document of this kind may point to it."""
    number = fields.integer("lancamento_pai_id")
    if number is None:
        _check_manual(fields, call, kind)
        return None
    books = call.account.books
    line = books.lines.get(number)
    if line is None:
        fields.errors.append("266")
        return None
    original = books.all[line.document_id]
    if not original.final:
        fields.errors.append("272")
    elif original.annulled:
        fields.errors.append(call.settings.over_credit_code)
    elif original.kind.tag not in _parents(kind):
        fields.errors.append("266")
    return line


def check(lines: Iterable["DraftLine"], customer_id: int | None, call: Call, kind: DocumentType) -> list[str]:
    """What is wrong with lines that point to others: another customer, article, tax or price, or too much of it."""
    over = False
    taken: dict[int, tuple[Line, Decimal, Decimal]] = {}
    for line in lines:
        if line.parent is None:
            continue
        original = call.account.books.all[line.parent.document_id]
        over |= original.contact["id"] != customer_id or _differs(line, line.parent)
        if kind.tag == "ND":
            continue
        over |= line.priced.net_unit_price > line.parent.priced.net_unit_price + TOLERANCE
        _, quantity, value = taken.get(line.parent.id, (line.parent, ZERO, ZERO))
        taken[line.parent.id] = (line.parent, quantity + line.priced.quantity, value + net_value(line.priced))
    over |= any(_exceeds(parent, quantity, value, call) for parent, quantity, value in taken.values())
    return [call.settings.over_credit_code] if over else []


def settle(document: Document, account_documents: dict[int, Document], *, undo: bool = False) -> None:
    """Book what a final document takes of the lines it points to, or give it back when it is annulled."""
    for line in document.lines:
        if line.parent is None:
            continue
        original = account_documents[line.parent.document_id]
        if not undo and document not in original.children:
            original.children.append(document)
        if document.kind.tag != "ND":
            sign = -1 if undo else 1
            line.parent.moved += sign * line.priced.quantity
            line.parent.moved_value += sign * net_value(line.priced)


def left(line: Line) -> Decimal:
    """The quantity that can still be credited or converted."""
    return line.priced.quantity - line.moved


def net_value(priced: Priced) -> Decimal:
    """What a line is worth without tax, unrounded."""
    return priced.quantity * priced.net_unit_price


def _parents(kind: DocumentType) -> frozenset[str]:
    if kind.tag in CORRECTIONS:
        return INVOICES | {"ND"}
    return OFFERS


def _check_manual(fields: Fields, call: Call, kind: DocumentType) -> None:
    reference = fields.text("referencia_manual")
    known = call.account.books.by_number
    if reference and kind.tag in CORRECTIONS and call.settings.manual_reference_must_exist and reference not in known:
        fields.errors.append("266")


def _differs(line: "DraftLine", parent: Line) -> bool:
    exemption_id = line.exemption["id"] if line.exemption else None
    return (
        line.article.row is not parent.item
        or line.priced.rate != parent.priced.rate
        or exemption_id != parent.exemption_id
    )


def _exceeds(parent: Line, quantity: Decimal, value: Decimal, call: Call) -> bool:
    if call.settings.credit_uses is Credit.VALUE:
        return value > net_value(parent.priced) - parent.moved_value + TOLERANCE
    return quantity > left(parent)
