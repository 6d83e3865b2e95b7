"""Lines that can still be credited or turned into another document."""

from collections.abc import Iterator

from syncd.sandbox.billpt import views
from syncd.sandbox.billpt.calls import Call, Reply
from syncd.sandbox.billpt.credit import left
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.lists import INVOICES, OFFERS
from syncd.sandbox.billpt.records import Document, Line, Row
from syncd.sandbox.billpt.validation import Fields, Refusal


def listing(call: Call) -> Reply:
    """All open lines of a customer that a document of the wanted type may point to."""
    fields = Fields(call.values)
    contact_id = fields.integer("contato_id", required=True)
    tag = fields.text("tipificacao", most=3)
    fields.finish()
    contacts = call.account.contacts
    if contacts.get(contact_id or 0) is None:
        raise Refusal("217" if contacts.is_foreign(contact_id or 0) else "225")
    kinds = {"NC": INVOICES | {"ND"}, "ND": INVOICES, None: INVOICES | OFFERS}.get(tag, OFFERS)
    found = [
        (line, document)
        for document in call.account.books.by_contact.get(contact_id or 0, {}).values()
        if document.kind.tag in kinds
        for line in _open(document, call)
    ]
    return call.page(found, lambda pair: views.pending_row(*pair))


def several(call: Call) -> Reply:
    fields = Fields(call.values)
    numbers = rows(fields.given("documentos"))
    if not numbers:
        fields.errors.append("1.documentos")
    fields.finish()
    ids = [int(number) for number in numbers or () if str(number).isdigit()]
    return Reply({str(number): _shown(call.document(number), call) for number in ids})


def of_document(call: Call) -> Reply:
    return Reply(_shown(call.document(int(call.path_ids["id"])), call))


def _shown(document: Document, call: Call) -> list[Row]:
    return [views.pending(line, document) for line in _open(document, call)]


def _open(document: Document, call: Call) -> Iterator[Line]:
    if document.final and not document.annulled and call.visible(document):
        yield from (line for line in document.lines if left(line) > 0)
